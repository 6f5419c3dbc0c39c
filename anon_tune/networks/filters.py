"""Filters of frames that several anonymizers use.

Shapes: B clips, T frames per clip, N frames, C channels, H height, W width, K taps of a kernel (odd).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def gaussian_kernel(sigma: Tensor, radius: int) -> Tensor:
    """Return a sampled Gaussian, (2*radius+1,), whose values add up to 1. It is differentiable in sigma.

    Args:
        sigma: Scalar tensor, the standard deviation in pixels, above 0.
        radius: Taps on either side of the middle, at least 0.
    """
    offsets = torch.arange(-radius, radius + 1, device=sigma.device, dtype=sigma.dtype)
    weights = torch.exp(-0.5 * (offsets / sigma).square())
    return weights / weights.sum()


def convolve(frames: Tensor, kernel: Tensor) -> Tensor:
    """Filter frames (N,C,H,W) with a kernel (K,) along rows and along columns, channel by channel.

    Pixels beyond the border repeat those at the border, so a kernel that adds up to 1 does not change constant frames.
    """
    radius = len(kernel) // 2
    planes = frames.reshape(-1, 1, *frames.shape[-2:])
    planes = F.conv2d(F.pad(planes, (radius, radius, 0, 0), mode="replicate"), kernel.view(1, 1, 1, -1))
    planes = F.conv2d(F.pad(planes, (0, 0, radius, radius), mode="replicate"), kernel.view(1, 1, -1, 1))
    return planes.reshape(frames.shape)


def pixelate(frames: Tensor, size: int) -> Tensor:
    """Replace every block of size x size pixels of frames (N,C,H,W) by its mean.

    Blocks at the right and lower border may be smaller.
    """
    height, width = frames.shape[-2:]
    tall, wide = min(size, height), min(size, width)
    blocks = F.avg_pool2d(frames, (tall, wide), ceil_mode=True, count_include_pad=False)
    return blocks.repeat_interleave(tall, -2)[..., :height, :].repeat_interleave(wide, -1)[..., :width]


def difference(clips: Tensor) -> Tensor:
    """Return the differences ``x_t - x_{t-1}`` of clips, (B,T,3,H,W) in [-1, 1].

    The first frame has the difference of the second; if T is 1, it is 0.
    """
    if clips.shape[1] == 1:
        return torch.zeros_like(clips)
    changes = clips.diff(dim=1)
    return torch.cat([changes[:, :1], changes], dim=1)
