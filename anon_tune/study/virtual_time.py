"""Runs a study without Ray, in virtual time, for trial bodies that know how long a job would take.

This compares search strategies in minutes instead of days.
"""

from __future__ import annotations

import heapq
import itertools
import math
from dataclasses import dataclass, replace
from pathlib import Path

from anon_tune.errors import AnonTuneError
from anon_tune.study.assignment import Assignment, Decision
from anon_tune.study.desk import Desk
from anon_tune.trial import RungReport, TrialBody


@dataclass
class VirtualClock:
    """A clock that `drive` moves; give it to the bookkeeper too."""

    now: float = 0.0

    def __call__(self) -> float:
        """Return the virtual time in seconds."""
        return self.now


def drive(
    desk: Desk, body: TrialBody, num_workers: int, clock: VirtualClock, directory: Path, until_s: float = math.inf
) -> None:
    """Simulate workers that do the jobs of a desk, until it has no more jobs or the time is over.

    A job takes the ``seconds`` of its report. A worker that becomes free asks for its next assignment at once. If two
    jobs end at the same time, the one that began first is reported first.

    Args:
        desk: For example a `Bookkeeper` with the same clock.
        body: Does the jobs; it is called when a job begins.
        num_workers: Number of workers, at least 1.
        clock: Shows the time of the current event whenever the desk is called.
        directory: The directory of all trials; jobs get a directory in it.
        until_s: Jobs that would end after this time are left unfinished.
    """
    order = itertools.count()
    ends: list[tuple[float, int, Assignment, int, RungReport]] = []

    def begin(assignment: Assignment, index: int) -> None:
        try:
            report = body.advance(assignment.job(index, str(directory / assignment.trial_id)))
        except AnonTuneError as error:
            desk.fail(assignment.trial_id, str(error))
            return
        report = replace(report, trial_id=assignment.trial_id)
        heapq.heappush(ends, (clock.now + report.seconds, next(order), assignment, index, report))

    while True:
        while len(ends) < num_workers and (assignment := desk.next()) is not None:
            desk.start(assignment.trial_id)
            begin(assignment, 0)
        if not ends or ends[0][0] > until_s:
            return
        clock.now, _, assignment, index, report = heapq.heappop(ends)
        if desk.decide(report) is Decision.GO_ON:
            begin(assignment, index + 1)
