"""The Haar transform, which splits frames into bands of coarse and fine detail, and joins them again.

Shapes: N frames, C channels, H height, W width, J levels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_SIGNS = ((1, 1, 1, 1), (1, 1, -1, -1), (1, -1, 1, -1), (1, -1, -1, 1))
"""Rows are the bands A, H, V, D; columns are the pixels of a 2x2 block, row by row. Half of it is its own inverse."""


def padded(frames: Tensor, levels: int) -> Tensor:
    """Repeat the last row and column of frames (N,C,H,W) until H and W are multiples of 2^J."""
    height, width = frames.shape[-2:]
    return F.pad(frames, (0, -width % 2**levels, 0, -height % 2**levels), mode="replicate")


def split(frames: Tensor, levels: int) -> list[Tensor]:
    """Return the bands of frames (N,C,H,W): the low band, then the details from the coarsest level to the finest.

    The transform is orthonormal, so the squares of all bands add up to those of the frames. For frames in [0, 1], the
    low band (N,C,H/2^J,W/2^J) is in [0, 2^J] and the details of level j, (N,3C,H/2^j,W/2^j), are in
    [-2^(j-1), 2^(j-1)]. The three details of a channel follow each other: differences of rows, columns and diagonals.

    Args:
        frames: Frames whose H and W are multiples of 2^J, see `padded`.
        levels: J, at least 1.

    Source:
        PyWavelets' ``dwt2`` with ``db1`` gives the same values as (cA, (cH, cV, cD)).
    """
    low, details = frames, []
    for _ in range(levels):
        blocks = F.pixel_unshuffle(low, 2).unflatten(1, (low.shape[1], 4))
        four = _mixed(blocks)
        low, detail = four[:, :, 0], four[:, :, 1:].flatten(1, 2)
        details.append(detail)
    return [low, *reversed(details)]


def join(bands: list[Tensor]) -> Tensor:
    """Return the frames (N,C,H,W) whose bands `split` returned."""
    low, *details = bands
    for detail in details:
        four = torch.cat([low.unsqueeze(2), detail.unflatten(1, (low.shape[1], 3))], dim=2)
        low = F.pixel_shuffle(_mixed(four).flatten(1, 2), 2)
    return low


def _mixed(blocks: Tensor) -> Tensor:
    """Map (N,C,4,h,w) from pixels of a block to bands, or back."""
    signs = blocks.new_tensor(_SIGNS) / 2
    return torch.einsum("bp,ncphw->ncbhw", signs, blocks)
