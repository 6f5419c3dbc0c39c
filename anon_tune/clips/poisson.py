"""Random batches for private training: each unit is in a batch with the same probability, independently.

Shapes: B clips of a batch, T frames, C = 3 channels, H height, W width.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from anon_tune.clips.augment import Views
from anon_tune.clips.batches import ClipBatch, labelled
from anon_tune.clips.store import ClipSet


@dataclass(frozen=True, slots=True, eq=False)
class PoissonBatch:
    """A batch of a size that is itself random; it may be empty.

    Attributes:
        batch: The clips, those of one unit behind each other.
        units: (B,) int64, the number of the unit of each clip, from 0 up.
        num_units: Number of units in the batch.
    """

    batch: ClipBatch
    units: Tensor
    num_units: int


class PoissonSampler:
    """Draws batches in which every unit of a training split is with the same probability.

    A batch depends only on the key and on its name. The key must be secret and used for one run only: the accounting
    assumes that it is unknown which units were in a batch.

    Args:
        clip_set: The training split.
        rate: Probability of a unit to be in a batch, in (0, 1].
        key: The secret key.
        by_group: True if a unit is a group of clips, False if it is a clip.
        crop: Smallest random crop as a fraction of height and width.
        flip: True to mirror about half of the clips.
    """

    def __init__(
        self, clip_set: ClipSet, rate: float, key: bytes, by_group: bool, crop: float = 1.0, flip: bool = False
    ) -> None:
        self._set, self._rate, self._key, self._crop, self._flip = clip_set, rate, key, crop, flip
        names = clip_set.groups if by_group else clip_set.ids
        _, unit_of = np.unique(np.array(names), return_inverse=True)
        self._unit_of = unit_of
        self.num_units = int(unit_of.max()) + 1

    def batch(self, name: str) -> PoissonBatch:
        """Return the batch of a name; batches of different names are independent."""
        rng = np.random.Generator(np.random.PCG64(number_of(self._key, f"batch {name}")))
        drawn = np.flatnonzero(rng.random(self.num_units) < self._rate)
        rows = np.flatnonzero(np.isin(self._unit_of, drawn))
        rows = rows[np.argsort(self._unit_of[rows], kind="stable")]
        views = Views.draw(rng, len(rows))
        shown = self._set.shown(rows, rng.random(len(rows)))
        empty = not len(rows)
        shape = self._set.frames.shape
        clips = (
            torch.zeros(0, shape[1], 3, *shape[2:4])
            if empty
            else views.read(shown, 0, self._crop, self._flip).clips(torch.device("cpu"))
        )
        units = torch.from_numpy(np.searchsorted(drawn, self._unit_of[rows]).astype(np.int64))
        return PoissonBatch(labelled(self._set, rows, clips), units, len(drawn))


def number_of(key: bytes, name: str) -> int:
    """Return the seed, below 2^63, of a random stream with a name under a secret key."""
    digest = hashlib.sha256(key + name.encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
