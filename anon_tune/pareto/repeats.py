"""Judges trials that were measured again by the mean of their repeats, and says how certain the means are.

A front of single measurements is too good to be true. A trial is on it because it is good or because its one
measurement was lucky, and the more trials there are, the more luck is selected. A repeated trial is therefore judged by
the mean of its repeats only. The measurement by which it was selected does not count.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import moocore
import numpy as np
from numpy.typing import NDArray

from anon_tune.pareto.dominance import front_ranks
from anon_tune.trial import OBJECTIVES, Reading, Score, Trial, losses

LEVELS = (10, 50, 90)
"""Levels of the attainment surfaces, in percent of the repeats that reach them."""

FEWEST_REPEATS, MOST_REPEATS = 3, 8
"""The smallest and the largest number of repeats of a trial, unless the user gives a number."""

_SEEDS_SHARE = 0.5  # of an interval's part that comes from clips, which no repeat makes smaller
_ERRORS_PER_INTERVAL = 1.96  # standard errors in half of a 95 % interval, the default confidence of the recipe
_DRAWS = 1000
_SIGNS = np.array(losses(1.0, 1.0))  # multiplied with these, objectives become losses and losses objectives


def judged_scores(trials: Sequence[Trial]) -> dict[str, Score]:
    """Return the score that each trial is judged by: the mean of its repeats, or its one full score.

    The interval of a mean has two parts. The first is the chance of which clips are in the test split. They are the
    same in every repeat, so the half-widths of the bootstrap intervals are averaged and do not shrink. The second is
    the chance of the seeds. They differ between repeats, so this part shrinks with the number of repeats K:
    ``1.96 s / sqrt(K)``. The half-width is the root of the sum of both squares. The standard deviation ``s`` is pooled
    over all repeated trials of the study, because a few repeats say little about the spread of one trial; anchors count
    only if no other trial is repeated. It is 0 while no trial has two repeats.

    Args:
        trials: All trials of one ledger.

    Returns:
        Scores by trial id, of all trials that have a full score or repeats. A reading is not finite if that of one of
        its repeats is not.
    """
    spreads = _spreads(trials)
    scores = {}
    for trial in trials:
        if trial.repeats:
            scores[trial.id] = _mean_score([r.score for r in trial.repeats], spreads)
        elif trial.score is not None:
            scores[trial.id] = trial.score
    return scores


@dataclass(frozen=True, slots=True)
class RepeatsNeeded:
    """How many repeats of a trial are worth measuring, and why.

    Attributes:
        objective: The objective that needs most.
        spread: Its standard deviation between repeats of one trial.
        clips: Half the width of its interval from the choice of clips.
    """

    objective: str
    spread: float
    clips: float

    @property
    def ratio(self) -> float:
        """Spread over clips: how much seeds matter beside clips."""
        if self.spread == 0:
            return 0.0
        return self.spread / self.clips if self.clips > 0 else math.inf

    @property
    def count(self) -> int:
        """The number, from `FEWEST_REPEATS` to `MOST_REPEATS`."""
        enough = (_ERRORS_PER_INTERVAL * self.ratio / _SEEDS_SHARE) ** 2
        return math.ceil(min(max(enough, FEWEST_REPEATS), MOST_REPEATS))


def repeats_needed(trials: Sequence[Trial]) -> RepeatsNeeded | None:
    """Return how many repeats the first three of every trial show to be worth their time.

    More seeds make only one part of an interval smaller. Enough are those that make it at most half as wide as the
    other part, the chance of which clips are in the test split: the whole interval is then 12 % wider than that part.

    Args:
        trials: All trials of one ledger.

    Returns:
        The number; None while no trial, anchors not counted, has three repeats.
    """
    numbers = range(1, FEWEST_REPEATS + 1)
    firsts = [replace(t, repeats=tuple(r for r in t.repeats if r.number in numbers)) for t in trials if not t.is_anchor]
    firsts = [trial for trial in firsts if len(trial.repeats) == FEWEST_REPEATS]
    if not firsts:
        return None
    spreads = _spreads(firsts)
    needed = (RepeatsNeeded(one.name, spreads[one.name], _of_clips(one.name, firsts)) for one in OBJECTIVES)
    return max(needed, key=lambda needed: needed.ratio)


def _of_clips(objective: str, trials: Sequence[Trial]) -> float:
    readings = [getattr(repeat.score, objective) for trial in trials for repeat in trial.repeats]
    return _mean(_finite((r.high - r.low) / 2 for r in readings) or [0.0])


def front_probabilities(scores: Mapping[str, Score]) -> dict[str, float]:
    """Return, for each trial, the probability that it is on the front of these trials.

    Leakage and accuracy of every trial are drawn from normal distributions around their values, with standard errors
    taken from their intervals. The probability is the fraction of draws in which no other trial dominates the trial.
    Trials are drawn independently of each other although they share clips and seeds, so the probabilities are less
    extreme than the true ones. The draws are the same in every call and for every order of trials.

    Args:
        scores: Scores by trial id, all finite.

    Returns:
        Probabilities in [0, 1] by trial id. They add up to at least 1, because every draw has a front.
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
    """Return attainment surfaces, which show how the front varies between repeats.

    The k-th repeats of all trials form one front. The surface at a level of p percent is the border of what at least
    p percent of these fronts reach or surpass. A low level is therefore optimistic, and a high level can be relied on.

    Args:
        trials: Trials that may be on the front; those without repeats are left out.
        levels: Levels in percent, above 0 and at most 100.

    Returns:
        For each level, leakage and accuracy, (n, 2), from the lowest leakage to the highest. The result is empty unless
        every repeated trial has at least two repeats in common with the others, all with finite readings.

    Source:
        Empirical attainment function, Grunert da Fonseca et al. 2001, computed by moocore.
    """
    repeated = [{r.number: r.score for r in trial.repeats} for trial in trials if trial.repeats]
    numbers = sorted(set.intersection(*(set(r) for r in repeated))) if repeated else []
    scores = [(number, r[number]) for number in numbers for r in repeated]
    if len(numbers) < 2 or not all(score.is_finite for _, score in scores):
        return {}
    fronts = [
        np.array([losses(r[number].leakage.value, r[number].accuracy.value) for r in repeated]) for number in numbers
    ]
    return attainment_surfaces(fronts, levels)


def attainment_surfaces(
    fronts: Sequence[NDArray[np.float64]], levels: Sequence[int] = LEVELS
) -> dict[int, NDArray[np.float64]]:
    """Return the attainment surfaces of several fronts of the same thing.

    Args:
        fronts: Finite losses of each front, (n, 2); at least one row each.
        levels: Levels in percent, above 0 and at most 100.

    Returns:
        For each level, leakage and accuracy, (n, 2), from the lowest leakage to the highest.

    Source:
        As of `attainment`.
    """
    numbers = np.repeat(np.arange(len(fronts)), [len(front) for front in fronts])
    surfaces = moocore.eaf(np.concatenate(fronts), numbers, percentiles=list(levels))
    found = {}
    for level in levels:
        surface = surfaces[surfaces[:, -1] == level, :-1]
        found[level] = surface[np.argsort(surface[:, 0])] * _SIGNS
    return found


def _spreads(trials: Sequence[Trial]) -> dict[str, float]:
    """Return for each objective the standard deviation between repeats of one trial, pooled over the trials."""
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
        beside={name: _mean_reading([s.beside[name] for s in scores], 0.0) for name in first.beside},
        attackers=_means([s.attackers for s in scores]),
        attributes=_means([s.attributes for s in scores]),
        distortion=_mean(s.distortion for s in scores),
        seconds=sum(s.seconds for s in scores),
        seconds_per_frame=_mean(taken) if (taken := _finite(s.seconds_per_frame for s in scores)) else math.nan,
    )


def _mean_reading(readings: Sequence[Reading], spread: float) -> Reading:
    value = _mean(r.value for r in readings)
    seeds = _ERRORS_PER_INTERVAL * spread / math.sqrt(len(readings))
    # The interval of a biased statistic may lie entirely on one side of its value. Then the other half-width is 0.
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
    """Return the mean of every name that all of the mappings have."""
    return {name: _mean(v[name] for v in values) for name in values[0] if all(name in v for v in values)}


def _finite(values: Iterable[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def _mean(values: Iterable[float]) -> float:
    """Return the mean, which does not depend on the order of the values; NaN if a value is not finite."""
    known = list(values)
    return math.fsum(known) / len(known) if all(map(math.isfinite, known)) else math.nan


def _error(reading: Reading) -> float:
    """Return a standard error, from the longer half of the interval, because the other may be cut off at 0 or 1."""
    half = max(reading.high - reading.value, reading.value - reading.low)
    return half / _ERRORS_PER_INTERVAL if 0 < half < math.inf else 0.0
