"""Windows of clips: a store may hold more frames of a video than the clip that a network sees.

Shapes: N clips, B clips of a batch, F stored frames, T frames of a window, H height, W width, K windows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anon_tune.clips.frames import frames_on_disk
from anon_tune.clips.manifest import Manifest, WindowForm

if TYPE_CHECKING:
    from anon_tune.clips.clip_set import ClipSet


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """The stored frames of a split, and where the windows of each clip begin.

    Attributes:
        stored: (N, F, H, W, 3) uint8, a view of a memory map.
        num_frames: T, at most F.
        stride: Stored frames from the beginning of a window to the next: T if windows were stored one after another,
            1 if they may begin at any frame.
        begin: (N,) first stored frame that windows of the clip may show. Frames before it repeat it.
        end: (N,) one past the last such frame; at least T more than `begin`.
    """

    stored: NDArray[np.uint8]
    num_frames: int
    stride: int
    begin: NDArray[np.int64]
    end: NDArray[np.int64]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of windows of each clip, (N,), at least 1."""
        return (self.end - self.begin - self.num_frames) // self.stride + 1

    def starts(self, rows: NDArray[np.int64], at: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the first frame of a window of each of some clips, (B,).

        Args:
            rows: (B,) rows of the clips.
            at: (B,) or (B, K) numbers in [0, 1): 0 is the first window of the clip; all windows have equal shares.
        """
        widened = (..., *[None] * (at.ndim - 1))
        counts, begin = self.counts[rows][widened], self.begin[rows][widened]
        return begin + self.stride * np.floor(at * counts).astype(np.int64)

    def read(self, rows: NDArray[np.int64], starts: NDArray[np.int64]) -> list[NDArray[np.uint8]]:
        """Return one window (T, H, W, 3) of each of some clips, as views: their frames are read when they are used."""
        return [self.stored[row, at : at + self.num_frames] for row, at in zip(rows, starts, strict=True)]

    def of(self, rows: NDArray[np.int64] | slice) -> Windows:
        """Return the windows of some clips only."""
        return replace(self, stored=self.stored[rows], begin=self.begin[rows], end=self.end[rows])


def middle_window(form: WindowForm, num_frames: int) -> int:
    """Return the stored frame at which the middle window begins; it is the same for every clip."""
    return (form.stored_frames - num_frames + 1) // 2 // form.stride * form.stride


def cut_windows(frames: NDArray[np.uint8], manifest: Manifest, rows: range) -> tuple[NDArray[np.uint8], Windows | None]:
    """Return the middle window of every clip of a split, and all windows; None if clips are all that is stored.

    Args:
        frames: What is stored of the split, (N, F, H, W, 3).
        manifest: The manifest of the store.
        rows: The rows of the split in the manifest.
    """
    if manifest.windows is None:
        return frames, None
    entries, num_frames = manifest.entries[rows.start : rows.stop], manifest.shape[0]
    kept = (np.array([getattr(e, name) for e in entries], dtype=np.int64) for name in ("begin", "end"))
    middle = middle_window(manifest.windows, num_frames)
    return frames[:, middle : middle + num_frames], Windows(frames, num_frames, manifest.windows.stride, *kept)


def spread_windows(clips: ClipSet, num: int) -> ClipSet:
    """Return a split whose rows are windows: K for each clip, spread evenly over it and following each other.

    K is `num`, or the most windows that a clip has if that is less; a clip with fewer than K repeats some. Each window
    has the labels and the group of its clip. A split of a store with one window per clip is returned as it is.

    Args:
        clips: A split with one row per clip.
        num: At least 1.
    """
    windows = clips.windows
    if windows is None:
        return clips
    num = min(num, int(windows.counts.max()))
    if num == 1:
        return replace(clips, windows=None)
    at = np.tile((np.arange(num) + 0.5) / num, (len(clips), 1))
    return replace(
        clips,
        frames=_frames(windows, windows.starts(np.arange(len(clips)), at)),
        actions=np.repeat(clips.actions, num),
        private=np.repeat(clips.private, num, axis=0),
        groups=tuple(group for group in clips.groups for _ in range(num)),
        ids=tuple(f"{name}, window {k}" for name in clips.ids for k in range(num)),
        windows=None,
        num_windows=num,
    )


def _frames(windows: Windows, starts: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return windows (N * K, T, H, W, 3), given where they begin (N, K). What is no view is copied to a file."""
    num_clips, num_stored, *pixels = windows.stored.shape
    num, length = starts.shape[1], windows.num_frames
    if num * length == num_stored and (starts == np.arange(num) * length).all():
        return windows.stored.reshape(num_clips * num, length, *pixels)
    copied = frames_on_disk((num_clips * num, length, *pixels))
    for row, begins in enumerate(starts):
        for k, at in enumerate(begins):
            copied[row * num + k] = windows.stored[row, at : at + length]
    return copied


def one_per_clip(clips: ClipSet) -> ClipSet:
    """Undo the rows of `spread_windows`: return the first window of each clip, with its labels."""
    if clips.num_windows == 1:
        return clips
    first = slice(None, None, clips.num_windows)
    return replace(
        clips,
        frames=clips.frames[first],
        actions=clips.actions[first],
        private=clips.private[first],
        groups=clips.groups[first],
        ids=tuple(name.rpartition(",")[0] for name in clips.ids[first]),
        inputs={name: values[first] for name, values in clips.inputs.items()},
        num_windows=1,
    )


def mean_of_windows(values: NDArray[np.float64], clips: ClipSet) -> NDArray[np.float64]:
    """Return the mean over the windows of each clip, (N, ...) from (N * K, ...)."""
    if clips.num_windows == 1:
        return values
    return np.asarray(values.reshape(-1, clips.num_windows, *values.shape[1:]).mean(axis=1))
