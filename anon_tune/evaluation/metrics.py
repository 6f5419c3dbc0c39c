"""cMAP, top-1 and bootstrap intervals. No metric depends on the order of the clips.

Shapes: N clips, A attributes, K actions, R weightings of the clips.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from anon_tune.clips import ClipSet
from anon_tune.errors import AnonTuneError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def average_precisions(scores: Floats, labels: NDArray[np.uint8]) -> Floats:
    """Return the average precision of each attribute, (A,); NaN where no clip is positive.

    A scorer that gives every clip the same score gets the share of positives.

    Args:
        scores: Attacker's scores (N,A). Higher means more likely; only their order matters.
        labels: Private attributes (N,A) in {0, 1}.

    Raises:
        AnonTuneError: A score is not finite. Such an attacker is broken, which differs from knowing nothing.
    """
    if not np.isfinite(scores[:, labels.any(axis=0)]).all():
        raise AnonTuneError("evaluation", "an attacker's scores must be finite", remedy="Lower its learning rate")
    ones = np.ones((1, len(labels)))
    columns = [
        precisions(score, label[None].astype(np.float64), ones)[0] if label.any() else np.nan
        for score, label in zip(scores.T, labels.T, strict=True)
    ]
    return np.array(columns, dtype=np.float64)


def precisions(scores: Floats, hits: Floats, counts: Floats) -> Floats:
    """Return the average precision of one attribute under many weightings of the clips, (R,).

    Clips with equal scores are read together. NaN where all weights of positive clips are 0.

    Args:
        scores: Scores (N,); higher means more likely.
        hits: Weights (R,N) of the positive clips; 0 for the others.
        counts: Weights (R,N) of all clips.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    found = np.cumsum(hits[:, order], axis=1)[:, ends]
    seen = np.cumsum(counts[:, order], axis=1)[:, ends]
    gained = np.diff(found, axis=1, prepend=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.nansum(gained * found / seen, axis=1) / found[:, -1])


def class_mean_ap(scores: Floats, labels: NDArray[np.uint8]) -> float:
    """Return cMAP, the mean average precision over the attributes that have a positive clip."""
    return _mean_of_known(average_precisions(scores, labels))


def prevalence(labels: NDArray[np.uint8]) -> float:
    """Return the cMAP of a blind attacker: the mean share of positives over the attributes that have any."""
    shares = labels.mean(axis=0)
    return float(shares[shares > 0].mean())


def top1(logits: Floats, actions: Ints) -> float:
    """Return the share of clips whose largest logit (N,K) is that of the true action (N,)."""
    return float((logits.argmax(axis=1) == actions).mean())


def majority(train: ClipSet, read: ClipSet) -> float:
    """Return the top-1 of a blind classifier: always the most frequent action of the training split."""
    most_frequent = np.bincount(train.actions).argmax()
    return float((read.actions == most_frequent).mean())


def bootstrap_interval(
    statistic: Callable[[Ints], float], num_clips: int, num_bootstraps: int, confidence: float, seed: int
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a statistic over clips.

    Args:
        statistic: Takes clip indices (N,), drawn with repetition, and returns the value on them.
        num_clips: N.
        num_bootstraps: Number of resamples.
        confidence: Coverage of the interval, in (0, 1).
        seed: Seed of the resamples.
    """
    rng = np.random.default_rng(seed)
    values = [statistic(rng.integers(num_clips, size=num_clips)) for _ in range(num_bootstraps)]
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return float(low), float(high)


def _mean_of_known(values: Floats) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=RuntimeWarning)  # all NaN: the caller sees NaN
        return float(np.nanmean(values))
