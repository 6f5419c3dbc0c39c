"""Brings what happens to workers to the desk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from anon_tune.driver.job_limit import why_hung
from anon_tune.driver.running_jobs import JobsUnderWay, begun_by_train
from anon_tune.errors import AnonTuneError
from anon_tune.study.assignment import Assignment, Decision
from anon_tune.study.desk import ClusterDesk
from anon_tune.study_directory import StudyDirectory
from anon_tune.trial import RungReport


class Relay:
    """Tells a desk of every event, and keeps the time of jobs, so that one that never reports is recorded as lost.

    Args:
        desk: Is told.
        study: Its directory of trials holds one for every assignment.
        job_limit_s: The limit after which workers end themselves.
        through_train: True if jobs are done by workers of Ray Train.

    Attributes:
        error: The first that the desk raised, before Ray makes a traceback of it.
    """

    def __init__(
        self, desk: ClusterDesk, study: StudyDirectory, job_limit_s: float | None, through_train: bool
    ) -> None:
        self._desk, self._study = desk, study
        self._job_limit_s, self._through_train = job_limit_s, through_train
        self._jobs = JobsUnderWay(desk.know)
        self.error: AnonTuneError | None = None

    def start(self, trial_id: str, worker: Any) -> None:
        """Record that a worker, a handle of its actor, begins with an assignment."""
        with self._keeping_error():
            self._jobs.begin(trial_id, worker)
            self._desk.start(trial_id)

    def look(self) -> None:
        """Hear where jobs run."""
        with self._keeping_error():
            self._jobs.look()

    def report(self, report: RungReport) -> bool:
        """Bring a report; return whether its worker goes on with the next job."""
        with self._keeping_error():
            goes_on = self._desk.decide(report) is Decision.GO_ON
        if goes_on:
            self._jobs.go_on(report.trial)
        else:
            self._jobs.end(report.trial)
        return goes_on

    def fail(self, trial_id: str, reason: str) -> None:
        """Record that an assignment failed with a reason of its own."""
        with self._keeping_error():
            self.waste(trial_id)
            self._desk.fail(trial_id, reason)

    def renew(self, trial_id: str) -> Assignment:
        """Record what a lost worker has cost; return what the one in its place has to do."""
        with self._keeping_error():
            self.waste(trial_id)
            return self._desk.rest(trial_id)

    def give_up(self, trial_id: str, last_words: str, max_losses: int | None) -> None:
        """Record that a worker was lost and none takes its place.

        Args:
            trial_id: Of its assignment.
            last_words: What is known of its end.
            max_losses: It had not begun, so the assignment is handed out again unless it was lost more often than
                this; None where it had.
        """
        with self._keeping_error():
            self.waste(trial_id)
            reason = why_hung(self._study.trial(trial_id), self._job_limit_s) or last_words
            if max_losses is None:
                self._desk.fail(trial_id, reason)
            else:
                self._desk.lose(trial_id, reason, max_losses)

    def waste(self, trial_id: str) -> None:
        """Record a job that ended without a report, if one was under way."""
        job = self._jobs.end(trial_id)
        if job and self._through_train:
            job = begun_by_train(self._study.trial(trial_id))
        if job:
            self._desk.waste(trial_id, *job)

    @contextmanager
    def _keeping_error(self) -> Iterator[None]:
        try:
            yield
        except AnonTuneError as error:
            self.error = self.error or error
            raise
