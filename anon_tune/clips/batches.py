"""Batches of clips. A batch depends only on a seed and a step.

Shapes: B clips of a batch, T frames, C = 3 channels, H height, W width, A private attributes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anon_tune.clips.augment import StoredViews, Views
from anon_tune.clips.store import ClipSet
from anon_tune.errors import DataError

# Numbers of the separate random streams under one seed. View k of a batch has the stream _VIEWS + k.
_ORDER, _VIEWS, _COLOURS, _WINDOWS = 0, 1, 1_000_000, 2_000_000
_CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True, eq=False)
class ClipBatch:
    """A batch of clips with their labels.

    Attributes:
        clips: (B, T, C, H, W) float32 in [0, 1].
        actions: (B,) int64 action labels, as in `ClipSet`.
        private: (B, A) float32 private labels, 0 or 1.
        ids: B clip ids.
        inputs: Arrays (B, ...) that attackers get besides the frames, by name.
    """

    clips: Tensor
    actions: Tensor
    private: Tensor
    ids: tuple[str, ...]
    inputs: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True, eq=False)
class StoredBatch:
    """A batch as it is stored, to be moved to a device before it is converted there.

    Attributes:
        views: The pixels.
        rows: Rows of the clips in the set.
    """

    views: StoredViews
    rows: NDArray[np.int64]


class ClipSampler:
    """An endless stream of augmented training batches.

    A batch depends only on the seed and the step, so resumed training sees the batches that it would have seen without
    the interruption. The clips are shuffled anew in every epoch, and the epochs are joined, so a batch may reach into
    the next epoch and every clip is seen equally often. If the store holds several windows of each clip, a batch shows
    a random one, the same in all views of the step.

    Args:
        clip_set: The clips to draw from.
        batch_clips: Clips in a batch, over all parts together, at least 1.
        seed: Seed of order and augmentation.
        crop: Smallest random crop as a fraction of height and width, in (0, 1]. All frames of a clip have the same
            crop, and are resized to their old size.
        flip: True to mirror about half of the clips.
        jitter: Largest change of brightness, contrast and saturation, as a fraction.
    """

    def __init__(
        self,
        clip_set: ClipSet,
        batch_clips: int,
        seed: int,
        crop: float = 1.0,
        flip: bool = False,
        jitter: float = 0.0,
    ) -> None:
        self._set, self._batch_clips, self._seed = clip_set, batch_clips, seed
        self._crop, self._flip, self._jitter = crop, flip, jitter

    def batch(self, step: int, part: int = 0, num_parts: int = 1, view: int = 0) -> ClipBatch:
        """Return the batch of a step, or one part of it, on the CPU; see `stored`."""
        return self.shown(self.stored(step, part, num_parts, view), _CPU)

    def shown(self, stored: StoredBatch, device: torch.device) -> ClipBatch:
        """Move a batch to a device and convert it there."""
        made = labelled(self._set, stored.rows, stored.views.clips(device))
        inputs = {name: values.to(device) for name, values in made.inputs.items()}
        return replace(made, actions=made.actions.to(device), private=made.private.to(device), inputs=inputs)

    def stored(self, step: int, part: int = 0, num_parts: int = 1, view: int = 0) -> StoredBatch:
        """Read the batch of a step, or one part of it. Several threads may call this.

        Args:
            step: The training step, from 0.
            part: The part to return, 0 to num_parts - 1. The parts in order are the whole batch.
            num_parts: Number of equal parts into which the batch is cut, one per worker.
            view: Number of the view, from 0. Another view has other crops and mirror images of the same clips.

        Raises:
            DataError: The batch cannot be cut into equal parts. Unequal parts would bias the mean gradient of the
                workers.
        """
        size, rest = divmod(self._batch_clips, num_parts)
        if rest:
            rule = f"'training.batch_clips' must be a multiple of the {num_parts} workers"
            raise DataError("batches", rule, self._batch_clips, "Change one of the two")
        start = part * size
        first = step * self._batch_clips + start
        indices = self._indices(first, first + size)
        views = Views.draw(_rng(self._seed, _VIEWS + view, step), self._batch_clips)
        shown = self._set.shown(indices, self._windows(step)[start : start + size])
        read = views.read(shown, start, self._crop, self._flip)
        if self._jitter:
            drawn = _rng(self._seed, _COLOURS + view, step).uniform(-1, 1, (self._batch_clips, 3))[start : start + size]
            read = replace(read, colours=torch.from_numpy(1 + self._jitter * drawn).to(torch.float32))
        return StoredBatch(read, indices)

    def _windows(self, step: int) -> NDArray[np.float64]:
        """Draw the windows of the clips of a batch, as numbers in [0, 1)."""
        return _rng(self._seed, _WINDOWS, step).random(self._batch_clips)

    def _indices(self, first: int, stop: int) -> NDArray[np.int64]:
        num = len(self._set)
        epochs = range(first // num, (stop - 1) // num + 1)
        order = np.concatenate([_order(num, self._seed, epoch) for epoch in epochs])
        offset = epochs.start * num
        return order[first - offset : stop - offset]


def epoch_batches(clip_set: ClipSet, batch_clips: int, epoch: int, seed: int, shuffle: bool) -> Iterator[ClipBatch]:
    """Yield every clip once, without augmentation; the last batch may be smaller.

    Args:
        clip_set: The clips.
        batch_clips: Clips in a batch, at least 1.
        epoch: Number of the epoch, from 0. The order depends only on seed and epoch.
        seed: Seed of the order.
        shuffle: False to keep the order of the store.
    """
    order = _order(len(clip_set), seed, epoch) if shuffle else np.arange(len(clip_set))
    for start in range(0, len(order), batch_clips):
        indices = order[start : start + batch_clips]
        yield labelled(clip_set, indices, clip_set.clips(indices))


def labelled(clip_set: ClipSet, indices: NDArray[np.int64], clips: Tensor) -> ClipBatch:
    """Return clips (B, T, C, H, W) that were read at some indices, with their labels."""
    return ClipBatch(
        clips=clips,
        actions=torch.from_numpy(clip_set.actions[indices]),
        private=torch.from_numpy(clip_set.private[indices].astype(np.float32)),
        ids=tuple(clip_set.ids[i] for i in indices),
        inputs={name: torch.from_numpy(values[indices]) for name, values in clip_set.inputs.items()},
    )


def _order(num: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return _rng(seed, _ORDER, epoch).permutation(num)


def _rng(seed: int, stream: int, at: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([seed, stream, at]))
