"""Random views of clips, with a gradient to the clips.

Shapes: B clips, T frames per clip, C channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor


def random_view(clips: Tensor, shift: int, mirrors: bool) -> Tensor:
    """Return a random view of each clip (B,T,C,H,W); all frames of a clip get the same view.

    Random numbers come from torch's global generator.

    Args:
        clips: Of any range.
        shift: Largest shift in each direction, in pixels; border pixels fill the gap.
        mirrors: True to mirror half of the clips.
    """
    if mirrors:
        turned = (torch.rand(len(clips)) < 0.5).to(clips.device)
        clips = torch.where(turned.view(-1, 1, 1, 1, 1), clips.flip(-1), clips)
    if shift:
        down, right = torch.randint(-shift, shift + 1, (2, len(clips), 1))
        rows, columns = (
            (torch.arange(size) + by).clamp(0, size - 1).to(clips.device)
            for size, by in zip(clips.shape[-2:], (down, right), strict=True)
        )
        first = torch.arange(len(clips), device=clips.device)[:, None, None]
        clips = clips[first, :, :, rows[:, :, None], columns[:, None]].permute(0, 3, 4, 1, 2)
    return clips
