"""The clips of one split of a store.

Shapes: N clips, B clips of a batch, T frames, P people, H height, W width, C = 3 channels, A private attributes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anon_tune.clips.keypoints import Points
from anon_tune.clips.windows import Windows

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class ClipSet:
    """The clips of one split.

    Attributes:
        frames: (N, T, H, W, 3) uint8, a view of a memory map; only the clips that are indexed are read.
        actions: (N,) int64, indices into `Clips.actions`.
        private: (N, A) uint8, 0 or 1, with columns in the order of `Clips.attributes`.
        groups: N group names.
        ids: N clip ids.
        inputs: Arrays (N, ...) that attackers get besides the frames, by name; raw clips have none.
        categories: Columns of `private` that are the values of one category: in every clip of the store, exactly one
            of them is 1. All other columns are independent of each other.
        windows: All stored frames of each clip, if the store holds several windows; `frames` are then the middle one.
        num_windows: Rows that follow each other and are windows of the same clip; see `spread_windows`.
        keypoints: (N, T, P, 17, 3) float32, as in `anon_tune.clips.keypoints`; None if they are not known.
        frame_truth: (N, T) uint8, 1 for abnormal frames; None if that is not known of every clip.
        normal: The label of clips of the action `anon_tune.clips.frame_truth.NORMAL`; -1 if there are none.
        persons: Packed person masks of all stored frames (N, F, H, ceil(W / 8)), see `anon_tune.clips.persons`; None if
            there are none.
    """

    frames: NDArray[np.uint8]
    actions: NDArray[np.int64]
    private: NDArray[np.uint8]
    groups: tuple[str, ...]
    ids: tuple[str, ...]
    inputs: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    categories: tuple[tuple[int, ...], ...] = ()
    windows: Windows | None = None
    num_windows: int = 1
    keypoints: Points | None = None
    frame_truth: NDArray[np.uint8] | None = None
    normal: int = -1
    persons: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def clips(self, indices: Sequence[int] | NDArray[np.int64]) -> Tensor:
        """Return the clips at some indices, (B, T, C, H, W) float32 in [0, 1]."""
        from anon_tune.clips.augment import to_unit

        return to_unit(self.frames[np.asarray(indices, dtype=np.int64)])

    def shown(self, rows: NDArray[np.int64], windows: NDArray[np.float64]) -> Sequence[NDArray[np.uint8]]:
        """Return a window (T, H, W, 3) of each of some clips, not yet read from the file.

        Args:
            rows: (B,) rows of the clips.
            windows: (B,) which window, as numbers in [0, 1); they have no effect if there is only one.
        """
        if self.windows is None:
            return [self.frames[row] for row in rows]
        return self.windows.read(rows, self.windows.starts(rows, windows))

    def points_at(self, indices: Sequence[int]) -> Tensor | None:
        """Return the key points of the clips at some indices, (B, T, P, 17, 3); None if they are not known."""
        import torch

        return None if self.keypoints is None else torch.from_numpy(self.keypoints[list(indices)])
