"""Turns stored frames into network input, with a random crop and mirror image of each clip, called a view.

Shapes: B clips of a batch, T frames, C = 3 channels, H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor


def to_unit(frames: NDArray[np.uint8]) -> Tensor:
    """Turn stored frames (B, T, H, W, 3) uint8 into clips (B, T, C, H, W) float32 in [0, 1]."""
    tensor = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 1, 4, 2, 3)
    return tensor.to(torch.float32, memory_format=torch.contiguous_format).div_(255)


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """One random view per clip, the same for all frames of the clip. Every number is in [0, 1).

    Attributes:
        scale: (B,) size of the crop: 0 is the smallest allowed, 1 the whole frame.
        top: (B,) vertical place of the crop: 0 is the top, 1 the bottom.
        left: (B,) horizontal place of the crop: 0 is the left edge, 1 the right edge.
        mirror: (B,) a clip is mirrored if its number is below 0.5.
    """

    scale: NDArray[np.float64]
    top: NDArray[np.float64]
    left: NDArray[np.float64]
    mirror: NDArray[np.float64]

    @classmethod
    def draw(cls, rng: np.random.Generator, num_clips: int) -> Views:
        """Draw one view for each of `num_clips` clips."""
        return cls(*rng.random((4, num_clips)))

    def read(self, frames: NDArray[np.uint8], rows: NDArray[np.int64], start: int, crop: float, flip: bool) -> Tensor:
        """Read clips from a store, each through its own view. From a memory map, only the crops are read.

        Args:
            frames: (N, T, H, W, 3) uint8.
            rows: (B,) rows of the clips to read.
            start: Index of the view of the first clip.
            crop: Smallest crop as a fraction of height and width, in (0, 1]; with 1, clips are not cropped.
            flip: True to mirror about half of the clips.

        Returns:
            (B, T, C, H, W) float32 in [0, 1]; crops are resized bilinearly to H and W.
        """
        if crop == 1 and not flip:
            return to_unit(frames[rows])
        return torch.stack([self._one(frames[row], start + at, crop, flip) for at, row in enumerate(rows)])

    def _one(self, clip: NDArray[np.uint8], at: int, crop: float, flip: bool) -> Tensor:
        height, width = clip.shape[1:3]
        fraction = crop + (1 - crop) * self.scale[at]
        h, w = max(1, round(fraction * height)), max(1, round(fraction * width))
        top, left = int(self.top[at] * (height - h + 1)), int(self.left[at] * (width - w + 1))
        shown = to_unit(np.array(clip[None, :, top : top + h, left : left + w]))[0]
        if (h, w) != (height, width):
            # Rounding in the interpolation weights can give values just outside of [0, 1].
            shown = F.interpolate(shown, (height, width), mode="bilinear", align_corners=False).clamp_(0, 1)
        return shown.flip(-1) if flip and self.mirror[at] < 0.5 else shown
