"""Runs a study without Ray, in virtual time: for trial bodies that know what a job takes without doing it.

Search strategies are compared that way in minutes instead of days.
"""

from __future__ import annotations

import heapq
import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from anon_tune.errors import AnonTuneError
from anon_tune.study.assignment import Assignment, fault
from anon_tune.trial import RungReport, TrialBody


class Desk(Protocol):
    """Hands out work and takes in what comes back; `Bookkeeper` is one."""

    def next(self) -> Assignment | None:
        """Hand out a trial; None while there is none."""
        ...

    def start(self, trial_id: str) -> None:
        """Take note that it runs."""
        ...

    def judge(self, report: RungReport) -> bool:
        """Return whether a trial goes on from a rung that is not the last it was handed out for."""
        ...

    def receive(self, report: RungReport, failure: str = "") -> None:
        """Take in a report."""
        ...

    def fail(self, trial_id: str, reason: str) -> None:
        """Take note that a trial failed without a report."""
        ...


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
    """Let workers work on what a desk hands out, until it has nothing more or the time is over.

    A job takes the ``seconds`` of its report, and a worker that becomes free asks at once. Of two jobs that end
    together the one begun first is reported first.

    Args:
        desk: For example a `Bookkeeper`, with the same clock.
        body: Does the jobs; is asked when a job begins.
        num_workers: At least 1.
        clock: Stands at the time of the event while the desk is asked.
        directory: Of the trials, named in jobs.
        until_s: Jobs that would end later are left unfinished.
    """
    order = itertools.count()
    ends: list[tuple[float, int, Assignment, tuple[int, ...], RungReport]] = []

    def begin(assignment: Assignment, todo: tuple[int, ...]) -> None:
        try:
            report = body.advance(assignment.job(todo[0], str(directory / assignment.trial)))
        except AnonTuneError as error:
            desk.fail(assignment.trial, str(error))
            return
        heapq.heappush(ends, (clock.now + report.seconds, next(order), assignment, todo[1:], report))

    while True:
        while len(ends) < num_workers and (assignment := desk.next()) is not None:
            desk.start(assignment.trial)
            begin(assignment, assignment.todo)
        if not ends or ends[0][0] > until_s:
            return
        clock.now, _, assignment, todo, report = heapq.heappop(ends)
        failure = fault(report)
        goes_on = not failure and bool(todo) and desk.judge(report)
        desk.receive(report, failure)
        if goes_on:
            begin(assignment, todo)
