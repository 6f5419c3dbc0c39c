"""What whoever runs jobs asks for work, and tells of what came of it.

A desk knows what there is to do, and nothing of where it is done. `Bookkeeper` is the desk of a study and
`VerificationDesk` that of its verification. Their jobs are run by Ray, see `anon_tune.driver.tune_executor`, or in
virtual time, see `anon_tune.study.virtual_time`.
"""

from __future__ import annotations

from typing import Protocol

from anon_tune.study.assignment import Assignment, Decision
from anon_tune.trial import RungReport


class Desk(Protocol):
    """Hands out work and takes in what comes back."""

    def next(self) -> Assignment | None:
        """Hand out an assignment; None while there is none."""
        ...

    def start(self, trial_id: str) -> None:
        """Take note that a worker begins with an assignment."""
        ...

    def decide(self, report: RungReport) -> Decision:
        """Record a report, then say what follows from it. Asked again about the same report, answer the same.

        Args:
            report: Its trial is that of the assignment.
        """
        ...

    def fail(self, trial_id: str, reason: str) -> None:
        """Take note that an assignment failed without a report, and is not to be tried again."""
        ...


class ClusterDesk(Desk, Protocol):
    """A desk whose workers may be lost."""

    @property
    def is_finished(self) -> bool:
        """True when there is nothing left to hand out, and nothing that could come back."""
        ...

    @property
    def is_hopeless(self) -> bool:
        """True when nothing can come of it any more, so that jobs under way are given up."""
        ...

    def rest(self, trial_id: str) -> Assignment:
        """Return what is left to do of an assignment, for a worker that takes the place of a lost one."""
        ...

    def lose(self, trial_id: str, reason: str, max_losses: int) -> None:
        """Hand an assignment out again whose worker was lost before it began, or fail it after too many losses."""
        ...

    def waste(self, trial_id: str, seconds: float, node: str) -> None:
        """Take note of a job that ended without a report."""
        ...

    def know(self, node: str) -> None:
        """Take note that a job runs on a node, whose price is to be known if it goes."""
        ...
