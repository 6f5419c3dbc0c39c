"""Bootstrap over groups or videos, and the scores that attackers get on permuted labels.

Shapes: N clips, A attributes, R resamples or permutations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from anon_tune.evaluation.metrics import Floats, precisions

NUM_PERMUTATIONS = 1000

MIN_GROUPS = 8
"""With fewer groups, clips are resampled one by one."""


@dataclass(frozen=True, slots=True, eq=False)
class Resamples:
    """How often each clip is drawn in each resample.

    Attributes:
        counts: Whole numbers (R,N) from 0, as float64.
        unit: What was drawn with repetition: whole groups, or videos (a clip is a video).
    """

    counts: Floats
    unit: Literal["group", "video"]

    def mean_interval(self, values: Floats, confidence: float) -> tuple[float, float]:
        """Return the percentile interval of the mean of values (N,), one per clip."""
        return percentiles(self.counts @ values / self.counts.sum(axis=1), confidence)

    def interval(self, statistic: Callable[[NDArray[np.int64]], float], confidence: float) -> tuple[float, float]:
        """Return the percentile interval of a statistic, which takes clip indices (N,), some repeated."""
        rows = np.arange(self.counts.shape[1])
        values = [statistic(np.repeat(rows, drawn.astype(np.int64))) for drawn in self.counts]
        return percentiles(np.array(values), confidence)

    def map_interval(self, scores: Floats, labels: NDArray[np.uint8], confidence: float) -> tuple[float, float]:
        """Return the percentile interval of cMAP from scores (N,A) and labels (N,A)."""
        return percentiles(self.map_values(scores, labels), confidence)

    def map_values(self, scores: Floats, labels: NDArray[np.uint8]) -> Floats:
        """Return the cMAP of each resample (R,) from scores (N,A) and labels (N,A)."""
        columns = [
            precisions(score, self.counts * label, self.counts)
            for score, label in zip(scores.T, labels.T, strict=True)
            if label.any()
        ]
        return _known_mean(np.stack(columns, axis=1))


def draw_resamples(groups: Sequence[str], num: int, seed: int) -> Resamples:
    """Draw resamples of clips by their groups, or one by one where there are fewer than `MIN_GROUPS`.

    Args:
        groups: Group name of each of the N clips.
        num: R.
        seed: Seed of the draws.
    """
    names, codes = np.unique(np.asarray(groups), return_inverse=True)
    by_group = len(names) >= MIN_GROUPS
    codes = codes if by_group else np.arange(len(codes))
    size = int(codes.max()) + 1
    rng = np.random.default_rng(seed)
    drawn = np.stack([np.bincount(rng.integers(size, size=size), minlength=size) for _ in range(num)])
    return Resamples(drawn[:, codes].astype(np.float64), "group" if by_group else "video")


def chance_of_strongest(
    attackers: Sequence[Floats], labels: NDArray[np.uint8], num: int, seed: int
) -> tuple[float, float]:
    """Return the least and the largest cMAP that the strongest attacker gets on permuted labels.

    The maximum over several blind attackers is above the floor, and so is an average precision on few clips.
    Permuting the labels keeps both effects, so it shows which scores count as "at the floor".

    Args:
        attackers: Scores (N,A) of each attacker.
        labels: Private attributes (N,A); whole rows are permuted.
        num: R. With 1000, about one in a thousand attackers that know nothing scores above the largest value.
        seed: Seed of the permutations.
    """
    rng = np.random.default_rng(seed)
    rows = np.stack([rng.permutation(len(labels)) for _ in range(num)])
    ones = np.ones(rows.shape)
    best = np.full(num, -np.inf)
    for scores in attackers:
        columns = [precisions(s, y[rows].astype(np.float64), ones) for s, y in zip(scores.T, labels.T, strict=True)]
        best = np.maximum(best, _known_mean(np.stack(columns, axis=1)))
    return float(best.min()), float(best.max())


def percentiles(values: Floats, confidence: float) -> tuple[float, float]:
    """Return the interval that covers the share ``confidence`` of the values and has equal tails."""
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return float(low), float(high)


def _known_mean(columns: Floats) -> Floats:
    """Return the mean over attributes, (R,) from (R,A). NaN is ignored; the mean is NaN where all values are."""
    known = ~np.isnan(columns)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, columns, 0).sum(axis=1) / known.sum(axis=1))
