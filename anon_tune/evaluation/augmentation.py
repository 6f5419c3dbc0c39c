"""Random views of the clips that an attacker learns from.

Shapes: B clips, T frames per clip, C channels, H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Which random views are taken. Random numbers come from torch's global generator.

    Attributes:
        max_shift: Largest shift of a clip in each direction, in pixels.
        mirrors: True to mirror half of the training clips, and to score every clip as the mean of itself and its
            mirror image.
    """

    max_shift: int = 0
    mirrors: bool = False

    def view(self, clips: Tensor) -> Tensor:
        """Return a random view of each clip (B,T,C,H,W); all frames of a clip get the same view."""
        if self.mirrors:
            turned = torch.rand(len(clips)) < 0.5
            clips = torch.where(turned.view(-1, 1, 1, 1, 1), clips.flip(-1), clips)
        return shifted(clips, self.max_shift) if self.max_shift else clips


AS_THEY_ARE = Augmentation()
"""No random views."""


def shifted(clips: Tensor, most: int) -> Tensor:
    """Shift each clip (B,T,C,H,W) by its own random draw of up to ``most`` pixels; border pixels fill the gap."""
    down, right = torch.randint(-most, most + 1, (2, len(clips), 1))
    rows, columns = (
        (torch.arange(size) + by).clamp(0, size - 1) for size, by in zip(clips.shape[-2:], (down, right), strict=True)
    )
    moved = clips[torch.arange(len(clips))[:, None, None], :, :, rows[:, :, None], columns[:, None]]
    return moved.permute(0, 3, 4, 1, 2)
