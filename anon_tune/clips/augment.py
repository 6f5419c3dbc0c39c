"""Turns stored frames into network input, with a random crop and mirror image of each clip, called a view.

Frames are read as uint8, moved to the device as they are, and converted there.

Shapes: B clips of a batch, T frames, C = 3 channels, H height, W width; h, w height and width of a crop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

_GREY = (0.299, 0.587, 0.114)  # how bright red, green and blue look; ITU-R BT.601


def to_unit(frames: NDArray[np.uint8]) -> Tensor:
    """Turn stored frames (B, T, H, W, 3) uint8 into clips (B, T, C, H, W) float32 in [0, 1]."""
    return _unit(torch.from_numpy(np.ascontiguousarray(frames)))


def _unit(frames: Tensor) -> Tensor:
    clips = frames.permute(*range(frames.dim() - 3), -1, -3, -2)
    return clips.to(torch.float32, memory_format=torch.contiguous_format).div_(255)


@dataclass(frozen=True, slots=True, eq=False)
class StoredViews:
    """The pixels of a batch as they are stored, and what is still to be done with them.

    Attributes:
        parts: The whole batch (B,T,H,W,3) uint8; or, if clips are cropped or mirrored, one crop (T,h,w,3) per clip.
        size: H and W, to which crops are resized bilinearly.
        mirrored: For each clip, whether it is mirrored; empty if `parts` is the whole batch.
        colours: (B,3) factors of brightness, contrast and saturation; None to keep the colours.
    """

    parts: tuple[Tensor, ...]
    size: tuple[int, int]
    mirrored: tuple[bool, ...] = ()
    colours: Tensor | None = None

    def pinned(self) -> StoredViews:
        """Return the same in memory from which a GPU can copy while it computes."""
        return replace(self, parts=tuple(part.pin_memory() for part in self.parts))

    def clips(self, device: torch.device) -> Tensor:
        """Move the pixels to a device and return the clips there, (B, T, C, H, W) float32 in [0, 1]."""
        moved = [part.to(device, non_blocking=part.is_pinned()) for part in self.parts]
        clips = torch.stack(list(map(self._shown, moved, self.mirrored))) if self.mirrored else _unit(moved[0])
        return clips if self.colours is None else coloured(clips, self.colours.to(device))

    def _shown(self, crop: Tensor, mirrored: bool) -> Tensor:
        shown = _unit(crop)
        if tuple(shown.shape[-2:]) != self.size:
            # Rounding in the interpolation weights can give values just outside of [0, 1].
            shown = F.interpolate(shown, self.size, mode="bilinear", align_corners=False).clamp_(0, 1)
        return shown.flip(-1) if mirrored else shown


def coloured(clips: Tensor, factors: Tensor) -> Tensor:
    """Change brightness, contrast and saturation of clips (B,T,C,H,W) in [0, 1] by factors (B,3), one after another.

    The contrast is that to the mean grey of a clip. All frames of a clip change alike.
    """
    bright, contrast, saturation = factors.T[:, :, None, None, None, None]
    weights = clips.new_tensor(_GREY).view(3, 1, 1)
    clips = (clips * bright).clamp(0, 1)
    mean = (clips * weights).sum(dim=2, keepdim=True).mean(dim=(1, 3, 4), keepdim=True)
    clips = (mean + (clips - mean) * contrast).clamp(0, 1)
    grey = (clips * weights).sum(dim=2, keepdim=True)
    changed: Tensor = (grey + (clips - grey) * saturation).clamp(0, 1)
    return changed


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

    def read(self, clips: Sequence[NDArray[np.uint8]], start: int, crop: float, flip: bool) -> StoredViews:
        """Read clips from a store, each through its own view. From a memory map, only the crops are read.

        Args:
            clips: B clips (T, H, W, 3) uint8, B at least 1.
            start: Index of the view of the first clip.
            crop: Smallest crop as a fraction of height and width, in (0, 1]; with 1, clips are not cropped.
            flip: True to mirror about half of the clips.
        """
        height, width = clips[0].shape[1:3]
        if crop == 1 and not flip:
            return StoredViews((torch.from_numpy(np.stack(clips)),), (height, width))
        numbers = range(start, start + len(clips))
        parts = tuple(self._crop(clip, at, crop) for clip, at in zip(clips, numbers, strict=True))
        return StoredViews(parts, (height, width), tuple(flip and bool(self.mirror[at] < 0.5) for at in numbers))

    def _crop(self, clip: NDArray[np.uint8], at: int, crop: float) -> Tensor:
        height, width = clip.shape[1:3]
        fraction = crop + (1 - crop) * self.scale[at]
        h, w = max(1, round(fraction * height)), max(1, round(fraction * width))
        top, left = int(self.top[at] * (height - h + 1)), int(self.left[at] * (width - w + 1))
        return torch.from_numpy(np.array(clip[:, top : top + h, left : left + w]))
