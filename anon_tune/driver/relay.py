"""Passes the events of workers to the desk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from anon_tune.driver.job_limit import why_hung
from anon_tune.driver.running_jobs import RunningJobs, begun_by_train
from anon_tune.errors import AnonTuneError
from anon_tune.study.assignment import Assignment, Decision
from anon_tune.study.desk import ClusterDesk
from anon_tune.study_directory import StudyDirectory
from anon_tune.trial import RungReport


class Relay:
    """Passes every event to a desk, and times jobs, so that a job without a report is recorded as lost.

    Args:
        desk: Receives the events.
        study: The study directory, which has a trial directory for every assignment.
        job_limit_s: Seconds after which a worker ends itself; None for no limit.
        through_train: True if workers of Ray Train do the jobs.

    Attributes:
        error: The first error that the desk raised, kept because Ray turns it into a traceback.
    """

    def __init__(
        self, desk: ClusterDesk, study: StudyDirectory, job_limit_s: float | None, through_train: bool
    ) -> None:
        self._desk, self._study = desk, study
        self._job_limit_s, self._through_train = job_limit_s, through_train
        self._jobs = RunningJobs(desk.record_node)
        self.error: AnonTuneError | None = None

    def start(self, trial_id: str, worker: Any) -> None:
        """Record that a worker, given as a handle of its actor, begins with an assignment."""
        with self._keeping_error():
            self._jobs.begin(trial_id, worker)
            self._desk.start(trial_id)

    def collect_nodes(self) -> None:
        """Find out on which nodes jobs run."""
        with self._keeping_error():
            self._jobs.collect_nodes()

    def report(self, report: RungReport) -> bool:
        """Pass on a report; return True if its worker goes on with the next job."""
        with self._keeping_error():
            goes_on = self._desk.decide(report) is Decision.GO_ON
        if goes_on:
            self._jobs.go_on(report.trial_id)
        else:
            self._jobs.end(report.trial_id)
        return goes_on

    def fail(self, trial_id: str, reason: str) -> None:
        """Record that an assignment failed with a reason of its own."""
        with self._keeping_error():
            self.record_lost_job(trial_id)
            self._desk.fail(trial_id, reason)

    def replace_worker(self, trial_id: str) -> Assignment:
        """Record the cost of a lost worker; return the remaining work for its replacement."""
        with self._keeping_error():
            self.record_lost_job(trial_id)
            return self._desk.remaining(trial_id)

    def give_up(self, trial_id: str, last_words: str, max_losses: int | None) -> None:
        """Record that a worker was lost and is not replaced.

        Args:
            trial_id: Trial of its assignment.
            last_words: What is known about how the worker ended.
            max_losses: Given if the worker had not begun: the assignment is then handed out again unless it was lost
                more often than this. None if the worker had begun.
        """
        with self._keeping_error():
            self.record_lost_job(trial_id)
            reason = why_hung(self._study.trial(trial_id), self._job_limit_s) or last_words
            if max_losses is None:
                self._desk.fail(trial_id, reason)
            else:
                self._desk.hand_out_again(trial_id, reason, max_losses)

    def record_lost_job(self, trial_id: str) -> None:
        """Record a job that ended without a report, if one was under way."""
        job = self._jobs.end(trial_id)
        if job and self._through_train:
            job = begun_by_train(self._study.trial(trial_id))
        if job:
            self._desk.record_lost_job(trial_id, *job)

    @contextmanager
    def _keeping_error(self) -> Iterator[None]:
        try:
            yield
        except AnonTuneError as error:
            self.error = self.error or error
            raise
