"""Random batches for private training: each unit is in a batch with the same probability, independently.

Shapes: B clips of a batch, T frames, C = 3 channels, H height, W width.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anon_tune.clips.augment import Views
from anon_tune.clips.batches import ClipBatch, labelled
from anon_tune.clips.clip_set import ClipSet
from anon_tune.clips.persons import without_persons


@dataclass(frozen=True, slots=True, eq=False)
class PoissonBatch:
    """A batch of a size that is itself random; it may be empty.

    Attributes:
        batch: The clips, those of one unit behind each other.
        units: (B,) int64, the number of the unit of each clip, from 0 up.
        num_units: Number of units in the batch.
        without_persons: The same clips, through the same views, in which persons are grey; None if the whole unit is
            protected.
    """

    batch: ClipBatch
    units: Tensor
    num_units: int
    without_persons: Tensor | None = None


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
        persons_only: True if only the pixels of persons are protected. Batches then have the same clips without them.
    """

    def __init__(
        self,
        clip_set: ClipSet,
        rate: float,
        key: bytes,
        by_group: bool,
        crop: float = 1.0,
        flip: bool = False,
        persons_only: bool = False,
    ) -> None:
        self._set, self._rate, self._key, self._crop, self._flip = clip_set, rate, key, crop, flip
        self._persons_only = persons_only
        names = clip_set.groups if by_group else clip_set.ids
        _, unit_of = np.unique(np.array(names), return_inverse=True)
        self._unit_of = unit_of
        self.num_units = int(unit_of.max()) + 1

    def batch(self, name: str) -> PoissonBatch:
        """Return the batch of a name; batches of different names are independent."""
        rng = _generator(self._key, f"batch {name}")
        drawn = np.flatnonzero(rng.random(self.num_units) < self._rate)
        rows = np.flatnonzero(np.isin(self._unit_of, drawn))
        rows = rows[np.argsort(self._unit_of[rows], kind="stable")]
        views = Views.draw(rng, len(rows))
        at = rng.random(len(rows))
        units = torch.from_numpy(np.searchsorted(drawn, self._unit_of[rows]).astype(np.int64))
        batch = labelled(self._set, rows, self._seen(views, self._set.shown(rows, at)))
        if not self._persons_only:
            return PoissonBatch(batch, units, len(drawn))
        without = self._seen(views, without_persons(self._set, rows, at))
        return PoissonBatch(batch, units, len(drawn), without)

    def public(self, name: str, num_clips: int) -> ClipBatch:
        """Return clips without persons, for a gradient without noise.

        They are drawn independently of the batch of the same name. Who takes part in a gradient without noise can be
        seen in it: if they were the clips of the batch, it would not be unknown who is in the batch, and sampling would
        not make the noised gradient more private.

        Args:
            name: A name, as for `batch`.
            num_clips: Number of clips, at most those of the split; they are all different.
        """
        rng = _generator(self._key, f"public {name}")
        rows = rng.choice(len(self._set), num_clips, replace=False)
        views, at = Views.draw(rng, num_clips), rng.random(num_clips)
        return labelled(self._set, rows, self._seen(views, without_persons(self._set, rows, at)))

    def _seen(self, views: Views, clips: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Return clips (T,H,W,3) through their views, (B,T,C,H,W)."""
        if not clips:
            _, num_frames, height, width, _ = self._set.frames.shape
            return torch.zeros(0, num_frames, 3, height, width)
        return views.read(clips, 0, self._crop, self._flip).clips(torch.device("cpu"))


def stream_key(key: bytes, name: str) -> bytes:
    """Return the key, of 32 bytes, of a random stream with a name under a secret key."""
    return hashlib.sha256(key + name.encode()).digest()


def _generator(key: bytes, name: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(int.from_bytes(stream_key(key, name), "big")))
