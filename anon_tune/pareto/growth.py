"""Follows the hypervolume and the cost of a study from trial to trial."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from anon_tune.pareto.front import ParetoFront, ReferencePoint
from anon_tune.trial import Cost, Trial, losses


class GrowthPoint(NamedTuple):
    """The hypervolume after one trial ended.

    Attributes:
        num_trials: Number of trials that have ended so far, without anchors.
        seconds: Time since the study's first record.
        hypervolume: Hypervolume of everything scored so far, against the study's final reference point.
        cost: Cost of all trials that have ended so far, in any state, including anchors.
    """

    num_trials: int
    seconds: float
    hypervolume: float
    cost: Cost


def growth(trials: Sequence[Trial], reference: ReferencePoint | None = None) -> list[GrowthPoint]:
    """Follow the hypervolume through a study, one entry after each final trial in order of ending.

    In a verified study trials count with the means that were measured afterwards, as on the front.

    Args:
        trials: All trials of one ledger.
        reference: Another reference point than the study's own, to compare studies. Anchors then add nothing:
            no search found them, but they would cover something against a point beyond them.
    """
    found = ParetoFront.of(trials)
    eligible = {trial.id for trial in found.eligible if reference is None or not trial.is_anchor}
    first = min((trial.started for trial in trials), default=0.0)
    point = reference or found.reference_point
    stairs = Staircase(point.losses) if point is not None else None
    entries: list[GrowthPoint] = []
    num_trials, volume, cost = 0, 0.0, Cost()
    for trial in sorted((t for t in trials if t.state.is_final), key=lambda t: t.ended):
        num_trials += not trial.is_anchor
        cost += trial.cost
        if stairs is not None and trial.id in eligible:
            eligible.remove(trial.id)
            score = found.scores[trial.id]
            volume += stairs.add(losses(score.leakage.value, score.accuracy.value))
            if not eligible and reference is None:
                volume = found.hypervolume  # the same, less what adding up has rounded
        entries.append(GrowthPoint(num_trials, trial.ended - first, volume, cost))
    return entries


class Staircase:
    """The nondominated points among points with two losses, kept up to date while points arrive.

    Adding a point takes a binary search, and a step for every point that it removes. Since a point is removed only
    once, n points take O(n log n) steps.

    Args:
        reference: The reference point. A point that is not smaller in both losses covers nothing and is not kept.
    """

    def __init__(self, reference: tuple[float, float]) -> None:
        self.reference = reference
        self.points: list[tuple[float, float]] = []  # the first loss rises, the second falls

    def add(self, point: tuple[float, float]) -> float:
        """Add a finite point and return by how much the hypervolume grows."""
        x, y = point
        right, top = self.reference
        if x >= right or y >= top:
            return 0.0
        start = bisect_left(self.points, point)
        above = self.points[start - 1][1] if start else top  # lowest second loss left of the point
        if above <= y or (start < len(self.points) and self.points[start] == point):
            return 0.0
        stop, gain = start, 0.0
        while stop < len(self.points) and self.points[stop][1] >= y:
            next_x, next_above = self.points[stop]
            gain += (next_x - x) * (above - y)
            x, above = next_x, next_above
            stop += 1
        end = self.points[stop][0] if stop < len(self.points) else right
        gain += (end - x) * (above - y)
        self.points[start:stop] = [point]
        return gain
