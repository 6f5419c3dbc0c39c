"""What a trial is worth after it was measured again: means over its repeats, and how sure they are.

A front of single measurements is too good to be true: a trial stands on it because it is good or
because its one measurement was lucky, and the more trials there are, the more luck is selected.
So a repeated trial is judged by the mean of its repeats alone; the measurement that selected it
is left out.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import moocore
import numpy as np
from numpy.typing import NDArray

from anon_tune.pareto.dominance import front_ranks
from anon_tune.trial import OBJECTIVES, Reading, Score, Trial, losses

LEVELS = (10, 50, 90)
"""Attainment levels in percent of the repeats: what the best tenth, half and nearly all reach."""

_ERRORS_PER_INTERVAL = 1.96  # standard errors in half an interval of 95 %, the recipe's default confidence
_DRAWS = 1000
_SIGNS = np.array(losses(1.0, 1.0))  # between objectives and losses, either way


def judged_scores(trials: Sequence[Trial]) -> dict[str, Score]:
    """Return the score that each trial is judged by: the mean of its repeats, or its one full score.

    A mean's interval joins two kinds of chance. Which clips are in the test split is the same in every
    repeat, so the bootstrap's half-widths are averaged and do not shrink. Seeds differ, so their
    share shrinks with the number of repeats K: ``1.96 s / sqrt(K)``. The two are joined by the root of
    the sum of their squares. The spread ``s`` is pooled over the repeated trials of a study (anchors
    count only if there are no others), since a few repeats say little about the spread of one trial; it is
    0 as long as no trial has two repeats.

    Args:
        trials: All trials of one ledger.

    Returns:
        By trial id, for trials with a full score. A reading whose repeats are not all finite is not finite.
    """
    spreads = _spreads(trials)
    scores = {}
    for trial in trials:
        if trial.repeats:
            scores[trial.id] = _mean_score([r.score for r in trial.repeats], spreads)
        elif trial.score is not None:
            scores[trial.id] = trial.score
    return scores


def front_probabilities(scores: Mapping[str, Score]) -> dict[str, float]:
    """Return the probability that each trial is on the front of these trials.

    Both readings of every trial are drawn from normal distributions about their values, with the standard
    errors that their intervals stand for; the probability is the share of draws in which no other trial
    dominates the trial. Trials are drawn independently of each other, though they share clips and seeds, so
    probabilities err towards the middle. The draws are the same in every call and for every order of trials.

    Args:
        scores: By trial id; finite.

    Returns:
        By trial id, in [0, 1]; their sum is at least 1, as every draw has a front.
    """
    if not scores:
        return {}
    names = sorted(scores)
    readings = [[getattr(scores[name], objective.name) for objective in OBJECTIVES] for name in names]
    values = np.array([[r.value for r in pair] for pair in readings])
    errors = np.array([[_error(r) for r in pair] for pair in readings])
    drawn = np.random.default_rng(0).normal(values, errors, (_DRAWS, *values.shape)) * _SIGNS
    on_front = np.mean([front_ranks(rows) == 0 for rows in drawn], axis=0)
    return dict(zip(names, on_front.tolist(), strict=True))


def attainment(trials: Iterable[Trial], levels: Sequence[int] = LEVELS) -> dict[int, NDArray[np.float64]]:
    """Return how far the fronts of single repeats reach.

    Every repeat number is one front: all trials as that repeat saw them. The surface at a level of p percent
    is the front of what is reached or surpassed by at least p percent of these fronts; so a low level is an
    optimistic front and a high level one to count on.

    Args:
        trials: Trials that may stand on the front; those without repeats are left out.
        levels: In percent, above 0 and at most 100.

    Returns:
        By level, (n, 2) leakage and accuracy, from the lowest leakage to the highest. Empty unless at least
        two repeats are recorded, with finite readings, of every repeated trial.

    Source:
        Empirical attainment function, Grunert da Fonseca et al. 2001; computed by moocore.
    """
    repeated = [{r.number: r.score for r in trial.repeats} for trial in trials if trial.repeats]
    numbers = sorted(set.intersection(*(set(r) for r in repeated))) if repeated else []
    scores = [(number, r[number]) for number in numbers for r in repeated]
    if len(numbers) < 2 or not all(score.is_finite for _, score in scores):
        return {}
    points = np.array([losses(score.leakage.value, score.accuracy.value) for _, score in scores])
    surfaces = moocore.eaf(points, [number for number, _ in scores], percentiles=list(levels))
    found = {}
    for level in levels:
        surface = surfaces[surfaces[:, -1] == level, :-1]
        found[level] = surface[np.argsort(surface[:, 0])] * _SIGNS
    return found


def _spreads(trials: Sequence[Trial]) -> dict[str, float]:
    """Return each objective's standard deviation between the repeats of one trial, pooled over trials."""
    several = [trial for trial in trials if len(trial.repeats) > 1]
    several = [trial for trial in several if not trial.is_anchor] or several
    spreads = {}
    for objective in OBJECTIVES:
        values = [[getattr(r.score, objective.name).value for r in trial.repeats] for trial in several]
        known = [v for v in values if all(math.isfinite(x) for x in v)]
        freedom = sum(len(v) - 1 for v in known)
        squares = math.fsum((len(v) - 1) * statistics.variance(v) for v in known)
        spreads[objective.name] = math.sqrt(squares / freedom) if freedom else 0.0
    return spreads


def _mean_score(scores: Sequence[Score], spreads: Mapping[str, float]) -> Score:
    first = scores[0]
    return replace(
        first,
        leakage=_mean_reading([s.leakage for s in scores], spreads["leakage"]),
        accuracy=_mean_reading([s.accuracy for s in scores], spreads["accuracy"]),
        attackers=_means([s.attackers for s in scores]),
        attributes=_means([s.attributes for s in scores]),
        distortion=_mean(s.distortion for s in scores),
        seconds=sum(s.seconds for s in scores),
        seconds_per_frame=_mean(taken) if (taken := _finite(s.seconds_per_frame for s in scores)) else math.nan,
    )


def _mean_reading(readings: Sequence[Reading], spread: float) -> Reading:
    value = _mean(r.value for r in readings)
    seeds = _ERRORS_PER_INTERVAL * spread / math.sqrt(len(readings))
    # An interval of a biased statistic may lie wholly on one side of its value: that side counts, and only it.
    below = math.hypot(max(_mean(r.value - r.low for r in readings), 0.0), seeds)
    above = math.hypot(max(_mean(r.high - r.value for r in readings), 0.0), seeds)
    return Reading(
        value=value,
        floor=_mean(r.floor for r in readings),
        ceiling=_mean(r.ceiling for r in readings),
        low=max(value - below, 0.0),
        high=min(value + above, 1.0),
        validation=_mean(r.validation for r in readings),
    )


def _means(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Average what all of them have."""
    return {name: _mean(v[name] for v in values) for name in values[0] if all(name in v for v in values)}


def _finite(values: Iterable[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def _mean(values: Iterable[float]) -> float:
    """Return the mean, the same in any order; NaN if a value is not finite."""
    known = list(values)
    return math.fsum(known) / len(known) if all(map(math.isfinite, known)) else math.nan


def _error(reading: Reading) -> float:
    """Return a standard error; the longer half of the interval counts, as the other may be cut off at 0 or 1."""
    half = max(reading.high - reading.value, reading.value - reading.low)
    return half / _ERRORS_PER_INTERVAL if 0 < half < math.inf else 0.0
