"""Kernel ridge regression on features and their mirror images, with scores of clips it did not see.

Shapes: N clips, A attributes, D features, M scores that are summed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_RIDGE = 0.01


@dataclass(frozen=True, slots=True)
class Mirrored:
    """Features of clips (N,D), and those of their mirror images."""

    own: NDArray[np.float32]
    mirrored: NDArray[np.float32]

    def followed_by(self, other: Mirrored) -> Mirrored:
        """Return the features of these clips and then of others."""
        return Mirrored(np.concatenate([self.own, other.own]), np.concatenate([self.mirrored, other.mirrored]))


class Ridge:
    """One regression with a Gaussian kernel on standardized features.

    The kernel of two clips is the sum of that with the clip and that with its mirror image. This equals learning from
    all clips and all mirror images, and is half as large.

    Args:
        features: Of the clips it learns from.
        labels: (N,A).
        folds: The fold of each clip (N,).

    Attributes:
        unseen: The score of every clip (N,A) by a regression that did not see the clip's fold; standardized.
    """

    def __init__(self, features: Mirrored, labels: Floats, folds: NDArray[np.int64]) -> None:
        spread = features.own.std(axis=0)
        self._mean, self._spread = features.own.mean(axis=0), spread + 0.1 * np.median(spread) + 1e-6
        self._support = self._scaled(features.own)
        self._mirrored = self._scaled(features.mirrored)
        kernel = self._kernel(self._support)
        inverse = np.linalg.inv(kernel + _RIDGE * np.eye(len(kernel)))
        targets = labels - labels.mean(axis=0)
        self._duals = inverse @ targets
        found = np.empty_like(targets)
        for fold in np.unique(folds):  # the scores without a fold follow from the inverse, without another one
            at = np.flatnonzero(folds == fold)
            found[at] = targets[at] - np.linalg.solve(inverse[np.ix_(at, at)], self._duals[at])
        self._centre, self._scale = found.mean(axis=0), np.maximum(found.std(axis=0), 1e-3)
        self.unseen: Floats = (found - self._centre) / self._scale

    def predict(self, features: Mirrored) -> Floats:
        """Return standardized scores (N,A)."""
        scores: Floats = (self._kernel(self._scaled(features.own)) @ self._duals - self._centre) / self._scale
        return scores

    def _scaled(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        scaled: NDArray[np.float32] = (features - self._mean) / self._spread
        return scaled

    def _kernel(self, clips: NDArray[np.float32]) -> Floats:
        return _gaussian(clips, self._support) + _gaussian(clips, self._mirrored)


def _gaussian(a: NDArray[np.float32], b: NDArray[np.float32]) -> Floats:
    squares = np.square(a).sum(axis=1)[:, None] - 2 * a @ b.T + np.square(b).sum(axis=1)
    kernel: Floats = np.exp(-np.maximum(squares, 0) / (2 * a.shape[1])).astype(np.float64)
    return kernel


def folds_of(
    groups: Sequence[str], clips: NDArray[np.int64], labels: Floats, num_folds: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the fold of each window (N,): those of a group share one; if groups are few, clips are spread by label.

    Args:
        groups: The group of each window.
        clips: The number of the clip of each window; windows of a clip are never in two folds.
        labels: (N,A).
        num_folds: Number of folds.
        rng: Decides which clips come together.
    """
    _, first, clip_at = np.unique(clips, return_index=True, return_inverse=True)
    order = rng.permutation(len(first))
    names, at = np.unique(np.array(groups), return_inverse=True)
    if len(names) >= 2 * num_folds:
        return (rng.permutation(len(names)) % num_folds)[at]
    folds = np.empty(len(first), dtype=np.int64)
    folds[order[np.lexsort(labels[first][order].T)]] = np.arange(len(first)) % num_folds
    return folds[clip_at]


def weights_of(scores: Sequence[Floats], labels: Floats) -> Floats:
    """Return the weight of each score in their sum (M,): the square of the odds that its mean average precision is.

    Choosing a few of the scores instead does worse on other clips than those on which they were chosen.

    Args:
        scores: (N,A) each, of clips that were not seen.
        labels: (N,A).
    """
    precisions = np.array([_mean_precision(one, labels) for one in scores])
    odds = (precisions / np.maximum(1 - precisions, 1e-3)) ** 2
    weights: Floats = odds / odds.sum()
    return weights


def _mean_precision(scores: Floats, labels: Floats) -> float:
    """Return the mean over the attributes of average precision; equal scores keep the order of the clips."""
    ranked = np.take_along_axis(labels, np.argsort(-scores, axis=0, kind="stable"), axis=0)
    found = np.cumsum(ranked, axis=0) / np.arange(1, len(labels) + 1)[:, None]
    return float(((found * ranked).sum(axis=0) / np.maximum(ranked.sum(axis=0), 1)).mean())
