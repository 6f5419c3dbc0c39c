"""The desk: the interface between the decisions of a study and whatever runs its jobs.

A desk hands out jobs and receives their reports. It knows which jobs are left, but not where they run.
`Bookkeeper` is the desk of a study, and `VerificationDesk` is the desk of its verification. Jobs are run by Ray (see
`anon_tune.driver.tune_executor`) or in virtual time (see `anon_tune.study.virtual_time`).
"""

from __future__ import annotations

from typing import Protocol

from anon_tune.study.assignment import Assignment, Decision
from anon_tune.trial import RungReport


class Desk(Protocol):
    """Hands out assignments and receives their reports."""

    def next(self) -> Assignment | None:
        """Hand out an assignment; None if there is none at the moment."""
        ...

    def start(self, trial_id: str) -> None:
        """Record that a worker begins with an assignment."""
        ...

    def decide(self, report: RungReport) -> Decision:
        """Record a report and return the decision about it. The same report again gets the same answer.

        Args:
            report: A report for the trial of an assignment.
        """
        ...

    def fail(self, trial_id: str, reason: str) -> None:
        """Record that an assignment failed without a report and must not be retried."""
        ...


class ClusterDesk(Desk, Protocol):
    """A desk whose workers may be lost."""

    @property
    def is_finished(self) -> bool:
        """True when nothing is left to hand out and no report is missing."""
        ...

    @property
    def is_hopeless(self) -> bool:
        """True when the run cannot succeed any more, so that running jobs are given up."""
        ...

    def remaining(self, trial_id: str) -> Assignment:
        """Return the unfinished part of an assignment, for a worker that replaces a lost one."""
        ...

    def hand_out_again(self, trial_id: str, reason: str, max_losses: int) -> None:
        """Hand out an assignment again if its worker was lost before it began; fail it after too many losses."""
        ...

    def record_lost_job(self, trial_id: str, seconds: float, node: str) -> None:
        """Record a job that ended without a report."""
        ...

    def record_node(self, node: str) -> None:
        """Record the node that a job runs on, so that its price is still known if the node is lost."""
        ...
