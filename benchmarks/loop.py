"""The event loop in virtual time that strategies share."""

from __future__ import annotations

import heapq
import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from anon_tune.study.bookkeeper import Assignment
from anon_tune.trial import RungJob, RungReport, TrialBody


class Desk(Protocol):
    """Hands out work and takes in what comes back; `Bookkeeper` is one."""

    @property
    def is_finished(self) -> bool:
        """True when nothing is left to hand out and nothing can come back."""
        ...

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


@dataclass
class VirtualClock:
    """A clock that `drive` moves."""

    now: float = 0.0

    def __call__(self) -> float:
        """Return the virtual time in seconds."""
        return self.now


def drive(
    desk: Desk, body: TrialBody, num_workers: int, clock: VirtualClock, directory: Path, until_s: float = math.inf
) -> None:
    """Let workers work on what a desk hands out, until it is finished or the time is over."""
    order = itertools.count()
    ends: list[tuple[float, int, Assignment, tuple[int, ...], RungReport]] = []

    def begin(assignment: Assignment, todo: tuple[int, ...]) -> None:
        report = body.advance(_job(assignment, todo[0], str(directory / assignment.trial)))
        heapq.heappush(ends, (clock.now + report.seconds, next(order), assignment, todo[1:], report))

    while True:
        while len(ends) < num_workers and (assignment := desk.next()) is not None:
            desk.start(assignment.trial)
            begin(assignment, assignment.todo)
        if not ends or ends[0][0] > until_s:
            return
        clock.now, _, assignment, todo, report = heapq.heappop(ends)
        goes_on = bool(todo) and desk.judge(report)
        desk.receive(report)
        if goes_on:
            begin(assignment, todo)


def _job(assignment: Assignment, rung: int, directory: str) -> RungJob:
    full = rung == len(assignment.levels) - 1
    ceilings = assignment.ceilings[full] if assignment.ceilings else None
    return RungJob(assignment.trial, assignment.recipe, directory, rung, assignment.levels[rung], full, ceilings)
