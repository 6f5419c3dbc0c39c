"""From stored frames to network input, and the random views of a clip.

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
    """One random view a clip, the same for all its frames; every number is in [0, 1).

    Attributes:
        scale: (B,) where the crop's size lies between smallest and whole.
        top: (B,) where the crop lies vertically.
        left: (B,) where the crop lies horizontally.
        mirror: (B,) mirrored if below one half.
    """

    scale: NDArray[np.float64]
    top: NDArray[np.float64]
    left: NDArray[np.float64]
    mirror: NDArray[np.float64]

    @classmethod
    def draw(cls, rng: np.random.Generator, num_clips: int) -> Views:
        """Draw views for a number of clips."""
        return cls(*rng.random((4, num_clips)))

    def read(self, frames: NDArray[np.uint8], rows: NDArray[np.int64], start: int, crop: float, flip: bool) -> Tensor:
        """Read clips from a store, each by its own view; of a memory map only what the crop shows is read.

        Args:
            frames: (N, T, H, W, 3) uint8.
            rows: (B,) which clips.
            start: Index of the first clip's view.
            crop: Smallest crop as a fraction of height and width, in (0, 1]; 1 leaves clips as they are.
            flip: Mirror about half of the clips.

        Returns:
            (B, T, C, H, W) in [0, 1], resized back bilinearly.
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
            # Rounding in the weights can leave [0, 1] by one unit in the last place.
            shown = F.interpolate(shown, (height, width), mode="bilinear", align_corners=False).clamp_(0, 1)
        return shown.flip(-1) if flip and self.mirror[at] < 0.5 else shown
