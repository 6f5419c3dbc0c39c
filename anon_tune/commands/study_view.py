"""A summary of a study at one moment, computed only from its trials."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from anon_tune.pareto import front_ranks, hypervolume
from anon_tune.trial import ANCHORS, Cost, Score, Trial, TrialState, losses


@dataclass(frozen=True, slots=True)
class StudyView:
    """A summary of a study at one moment.

    Attributes:
        states: Number of trials by state, anchors not counted.
        num_trials: Number of trials the study will have.
        front: Nondominated COMPLETE trials by their validation readings, leakage first.
        hypervolume: Hypervolume between the front and the reference point, which is (leakage of raw clips, accuracy at
            chance); NaN until the anchor ``identity`` is measured.
        left_s: Estimate of the seconds left; NaN until a first trial has ended.
        cost: Cost of all trials, including anchors.
    """

    states: Counter[TrialState]
    num_trials: int
    front: tuple[tuple[str, Score], ...]
    hypervolume: float
    left_s: float
    cost: Cost

    @classmethod
    def of(cls, trials: Sequence[Trial], num_trials: int) -> StudyView:
        """Summarize all trials of a study, including anchors."""
        ours = [t for t in trials if not t.is_anchor]
        scores = [(t.id, t.score) for t in ours if t.state is TrialState.COMPLETE and t.score and t.is_feasible]
        rows = [losses(s.leakage.validation, s.accuracy.validation) for _, s in scores]
        front = [pair for pair, layer in zip(scores, front_ranks(rows), strict=True) if layer == 0]
        front.sort(key=lambda pair: pair[1].leakage.validation)
        volume = float("nan")
        identity = next((t.score for t in trials if t.id == ANCHORS[0]), None)
        if identity is not None:
            reference = losses(identity.leakage.validation, identity.accuracy.floor)
            volume = hypervolume(rows, reference) if rows else 0.0
        states = Counter(t.state for t in ours)
        cost = sum((t.cost for t in trials), Cost())
        return cls(states, num_trials, tuple(front), volume, _seconds_left(ours, num_trials), cost)


def _seconds_left(trials: Sequence[Trial], num_trials: int) -> float:
    """Estimate the time left from the time that past trials took, including pruned ones, and how many ran at a time."""
    over = [t for t in trials if t.state.is_final and t.seconds > 0]
    if not over:
        return float("nan")
    jobs = [(job.ended - job.seconds, job.ended) for t in trials for job in t.reports]
    jobs += [(job.ended - job.seconds, job.ended) for t in trials for job in t.lost]
    spent = _covered(jobs)
    at_a_time = max(1.0, sum(end - start for start, end in jobs) / spent) if spent > 0 else 1.0
    waiting = num_trials - sum(t.state.is_final for t in trials)
    begun = sum(t.seconds for t in trials if not t.state.is_final)
    return max(0.0, waiting * statistics.fmean(t.seconds for t in over) - begun) / at_a_time


def _covered(spans: Sequence[tuple[float, float]]) -> float:
    """Return the length of what spans of time cover together: the time in which at least one job ran."""
    covered, until = 0.0, -math.inf
    for start, end in sorted(spans):
        covered += max(0.0, end - max(start, until))
        until = max(until, end)
    return covered
