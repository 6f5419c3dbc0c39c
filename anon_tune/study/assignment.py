"""What a trial is asked to do, and whether it can go on from what it reported."""

from __future__ import annotations

from dataclasses import dataclass

from anon_tune.recipe import Recipe
from anon_tune.trial import Ceilings, RungJob, RungReport


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a trial still has to do.

    Attributes:
        trial: Its id.
        recipe: Its recipe.
        levels: Steps of all rungs.
        todo: Indices of the rungs it has to reach, in order.
        ceilings: Of a rung score and of the full score; None for the identity anchor.
    """

    trial: str
    recipe: Recipe
    levels: tuple[int, ...]
    todo: tuple[int, ...]
    ceilings: tuple[Ceilings, Ceilings] | None

    def job(self, rung: int, directory: str) -> RungJob:
        """Return the job of one rung, to be done in a directory that every node sees."""
        full = rung == len(self.levels) - 1
        ceilings = self.ceilings[full] if self.ceilings else None
        return RungJob(self.trial, self.recipe, directory, rung, self.levels[rung], full, ceilings)


def fault(report: RungReport) -> str:
    """Return why a trial cannot go on from a report; empty if it can."""
    if report.score.is_finite:
        return ""
    rule = f"rung {report.rung} (step {report.step}): leakage and accuracy must be finite"
    return f"{rule}, got {report.score.leakage.value} and {report.score.accuracy.value}."
