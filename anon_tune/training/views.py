"""Random views of clips, with a gradient to the clips.

Shapes: B clips, T frames per clip, C channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor


def draw_turns(num_clips: int) -> Tensor:
    """Return which clips are mirrored, (B,): about half of them."""
    return torch.rand(num_clips) < 0.5


def turn(pictures: Tensor, turned: Tensor) -> Tensor:
    """Return pictures (B,...,H,W), of which those in `turned` (B,) are mirrored."""
    there = turned.to(pictures.device).view(-1, *(1 for _ in pictures.shape[1:]))
    return torch.where(there, pictures.flip(-1), pictures)


def random_view(clips: Tensor, shift: int, mirrors: bool) -> Tensor:
    """Return a random view of each clip (B,T,C,H,W); all frames of a clip get the same view.

    Random numbers come from torch's global generator.

    Args:
        clips: Of any range.
        shift: Largest shift in each direction, in pixels; border pixels fill the gap.
        mirrors: True to mirror half of the clips.
    """
    if mirrors:
        clips = turn(clips, draw_turns(len(clips)))
    if shift:
        down, right = torch.randint(-shift, shift + 1, (2, len(clips), 1))
        rows, columns = (
            (torch.arange(size) + by).clamp(0, size - 1).to(clips.device)
            for size, by in zip(clips.shape[-2:], (down, right), strict=True)
        )
        first = torch.arange(len(clips), device=clips.device)[:, None, None]
        clips = clips[first, :, :, rows[:, :, None], columns[:, None]].permute(0, 3, 4, 1, 2)
    return clips
