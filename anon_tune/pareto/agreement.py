"""How well the order of trials by their cheap rung scores agrees with the order by their full scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anon_tune.trial import Trial, TrialState

_FEWEST = 3  # two trials agree or disagree wholly, whatever the rung is worth


@dataclass(frozen=True, slots=True)
class RungAgreement:
    """How well rung leakage predicts full leakage.

    Attributes:
        correlation: Spearman's rank correlation, in [-1, 1].
        num_trials: Trials it was taken over.
    """

    correlation: float
    num_trials: int


def rung_agreement(trials: Sequence[Trial]) -> RungAgreement | None:
    """Correlate the leakage of each COMPLETE trial's last rung with its full leakage on the test split.

    Rung leakage is measured on the validation split, so the two numbers share neither clips nor attackers.
    Full leakage is the number that a reader sees, so it is what a rung must predict. Trials that a rung
    stopped have no full score, so the agreement is only among trials that the rung let pass.

    Args:
        trials: Of one study; anchors and scores that are not finite are left out.

    Returns:
        None with fewer than 3 trials, or where all leak the same at one of the two.
    """
    pairs = [pair for trial in trials if (pair := _pair(trial)) is not None]
    if len(pairs) < _FEWEST:
        return None
    rung, full = (_mean_ranks(np.array(values)) for values in zip(*pairs, strict=True))
    if np.ptp(rung) == 0 or np.ptp(full) == 0:
        return None
    return RungAgreement(float(np.corrcoef(rung, full)[0, 1]), len(pairs))


def _pair(trial: Trial) -> tuple[float, float] | None:
    rungs = [report.score for report in trial.reports if not report.score.full]
    full = trial.score
    if trial.is_anchor or trial.state is not TrialState.COMPLETE or full is None or not rungs:
        return None
    last = rungs[-1]
    return (last.leakage.value, full.leakage.value) if full.is_finite and last.is_finite else None


def _mean_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks from 1; equal values share the mean of theirs."""
    _, at, counts = np.unique(values, return_inverse=True, return_counts=True)
    shared: NDArray[np.float64] = np.cumsum(counts) - (counts - 1) / 2
    return shared[at]
