"""The descriptors attacker: edges, colours and patches at the places of the body, by kernel ridge regression.

It trains no network and learns from few clips, where networks overfit; where clips are many, it is left out, because
networks are stronger there and take less time. It follows the person, so that the head or the shirt lies at the same
place in every clip. It learns on the validation clips too: what it says of them comes from regressions that did not see
them.

Shapes: N clips, A attributes, D features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anon_tune.attackers.protocol import Attacker, Fit, Setting
from anon_tune.attackers.spec import AttackerSpec

if TYPE_CHECKING:
    from anon_tune.attackers.descriptors.features import Features
    from anon_tune.attackers.descriptors.ridge import Ridge
    from anon_tune.clips import ClipSet

Floats = NDArray[np.float64]

_MOST_CLIPS = 2000
_DRAWN = 256
_NUM_FOLDS = 5
_ROUNDING = 5


class Descriptors:
    """Fits one regression to each kind of features; one that is good on clips it did not see weighs more in the sum."""

    _features: Features
    _ridges: list[Ridge]
    _weights: Floats

    def fit(self, train: ClipSet, val: ClipSet, seed: int) -> Fit:
        """Learn from at most 2,000 clips of the training split, from the validation clips, and from mirror images."""
        from anon_tune.attackers.descriptors.features import Features
        from anon_tune.attackers.descriptors.ridge import Ridge, folds_of, weights_of

        rng = np.random.default_rng(seed)
        rows = rng.permutation(len(train))[:_MOST_CLIPS]
        self._features = Features(train.frames[np.sort(rows[:_DRAWN])], rng)
        rows = np.sort(rows)
        labels = np.concatenate([train.private[rows], val.private]).astype(np.float64)
        groups = [*(train.groups[row] for row in rows), *val.groups]
        clips = np.concatenate([rows // train.num_windows, len(train) + np.arange(len(val)) // val.num_windows])
        folds = folds_of(groups, clips, labels, _NUM_FOLDS, rng)
        parts = zip(self._features.of(train.frames, rows), self._features.of(val.frames), strict=True)
        self._ridges = [Ridge(own.followed_by(other), labels, folds) for own, other in parts]
        unseen = [ridge.unseen for ridge in self._ridges]
        self._weights = weights_of(unseen, labels)
        return Fit(validation=self._sum(unseen)[len(rows) :])

    def predict(self, clips: ClipSet) -> Floats:
        """Return scores (N,A)."""
        kinds = self._features.of(clips.frames)
        return self._sum([ridge.predict(kind) for ridge, kind in zip(self._ridges, kinds, strict=True)])

    def _sum(self, scores: list[Floats]) -> Floats:
        """Return the weighted sum of the scores, rounded, so that it does not depend on how a machine adds numbers."""
        total: Floats = np.tensordot(self._weights, np.array(scores), 1)
        return total.round(_ROUNDING)


def build(setting: Setting) -> Attacker:
    """Build the attacker."""
    return Descriptors()


SPEC = AttackerSpec(
    name="descriptors",
    summary="edges, colours and patches at the places of the body, by kernel ridge regression; strong on few clips",
    source="ours; edges as in Dalal and Triggs (CVPR 2005), patches as in Coates and Ng (2012)",
    build=build,
    few_clips=True,
)
