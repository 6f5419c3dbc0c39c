"""Measures how well cheap rung scores put trials into the same order as their full scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anon_tune.trial import Trial, TrialState

_FEWEST = 3  # with two trials, the correlation is always 1 or -1


@dataclass(frozen=True, slots=True)
class RungAgreement:
    """How well rung leakage predicts full leakage.

    Attributes:
        correlation: Spearman's rank correlation, in [-1, 1].
        num_trials: Number of trials that it was computed from.
    """

    correlation: float
    num_trials: int


def rung_agreement(trials: Sequence[Trial]) -> RungAgreement | None:
    """Correlate leakage at the last rung with full leakage on the test split, over all COMPLETE trials.

    Rung leakage is measured on the validation split, so the two numbers share neither clips nor attackers.
    Full leakage is the number that a reader sees, so it is what a rung must predict. A trial that a rung
    stopped has no full score, so only trials that passed their rungs are compared.

    Args:
        trials: All trials of one study. Anchors and scores that are not finite are left out.

    Returns:
        None if fewer than 3 trials can be compared, or if all rung leakages or all full leakages are equal.
    """
    pairs = [pair for trial in trials if (pair := _pair(trial)) is not None]
    if len(pairs) < _FEWEST:
        return None
    correlation = rank_correlation(*zip(*pairs, strict=True))
    return None if correlation is None else RungAgreement(correlation, len(pairs))


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation, in [-1, 1]; None if all values of one side are equal."""
    a, b = _mean_ranks(np.array(first)), _mean_ranks(np.array(second))
    return float(np.corrcoef(a, b)[0, 1]) if np.ptp(a) and np.ptp(b) else None


def _pair(trial: Trial) -> tuple[float, float] | None:
    rungs = [report.score for report in trial.reports if not report.score.full]
    full = trial.score
    if trial.is_anchor or trial.state is not TrialState.COMPLETE or full is None or not rungs:
        return None
    last = rungs[-1]
    return (last.leakage.value, full.leakage.value) if full.is_finite and last.is_finite else None


def _mean_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n,) ranks from 1; equal values get the mean of their ranks."""
    _, at, counts = np.unique(values, return_inverse=True, return_counts=True)
    shared: NDArray[np.float64] = np.cumsum(counts) - (counts - 1) / 2
    return shared[at]
