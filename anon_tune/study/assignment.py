"""The jobs that a worker gets, and the decisions that are made about its reports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from anon_tune.recipe import Recipe
from anon_tune.trial import Ceilings, RungJob, RungReport


class Decision(Enum):
    """The decision about a report."""

    GO_ON = "go on"
    """The worker does the next job of its assignment."""

    STOP = "stop"
    """The trial is over, and its worker free."""

    WAIT = "wait"
    """The worker is free. Another one may be asked to go on with the trial later."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """The jobs of one worker. It does them in this order, as long as the decision about each report is to go on.

    Attributes:
        trial_id: Id under which reports come back, and the name of the directory below that of all trials. It is
            a trial's, or that of a repeat of one.
        jobs: At least one. Their directory is left empty, see `job`.
    """

    trial_id: str
    jobs: tuple[RungJob, ...]

    @classmethod
    def of_rungs(
        cls,
        trial_id: str,
        recipe: Recipe,
        levels: Sequence[int],
        todo: Iterable[int],
        ceilings: tuple[Ceilings, Ceilings] | None,
    ) -> Assignment:
        """Return the assignment that takes a trial from rung to rung.

        Args:
            trial_id: Its id.
            recipe: Its recipe.
            levels: Steps of all rungs.
            todo: Indices of the rungs that the trial has to reach, in order.
            ceilings: The ceilings of a rung score and those of the full score; None for the identity anchor.
        """
        last = len(levels) - 1
        jobs = []
        for rung in todo:
            full = rung == last
            jobs.append(RungJob(trial_id, recipe, "", rung, levels[rung], full, ceilings[full] if ceilings else None))
        return cls(trial_id, tuple(jobs))

    @property
    def recipe(self) -> Recipe:
        """The recipe of all its jobs."""
        return self.jobs[0].recipe

    @property
    def todo(self) -> tuple[int, ...]:
        """Indices of the rungs that its jobs lead to."""
        return tuple(job.rung for job in self.jobs)

    def job(self, index: int, directory: str) -> RungJob:
        """Return one of the jobs, with the directory to do it in, which every node must see."""
        return replace(self.jobs[index], directory=directory)


def why_not_finite(report: RungReport) -> str:
    """Return the reason why a trial fails whose report is not finite; empty if the report is."""
    if report.score.is_finite:
        return ""
    rule = f"rung {report.rung} (step {report.step}): leakage and accuracy must be finite"
    return f"{rule}, got {report.score.leakage.value} and {report.score.accuracy.value}."
