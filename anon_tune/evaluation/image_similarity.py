"""Image similarity of two videos: PSNR and SSIM.

Shapes: N frames, C channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_LEAST_ERROR = 1 / 255**2 / 12  # the mean square of rounding to uint8
_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def psnr(one: Tensor, two: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio of each frame in dB, (N,).

    The error counts as at least that of rounding to uint8, so equal frames get 58.9 dB.

    Args:
        one: Frames (N,C,H,W) in [0, 1].
        two: Frames of the same shape and range.
    """
    error = (one - two).square().flatten(1).mean(dim=1).clamp_min(_LEAST_ERROR)
    return -10 * error.log10()


def ssim(one: Tensor, two: Tensor) -> Tensor:
    """Return the structural similarity of each frame, (N,), at most 1 and 1 for equal frames.

    Args:
        one: Frames (N,C,H,W) in [0, 1].
        two: Frames of the same shape and range.

    Source:
        Wang, Bovik, Sheikh, Simoncelli, IEEE Trans. Image Processing 13 (2004), eq. 13: Gaussian window of
        11 pixels and sigma 1.5, K1 = 0.01, K2 = 0.03, whole windows only. We average over RGB
        instead of using luminance, and for a frame smaller than the window we cut the window to the frame's size.
    """
    channels, height, width = one.shape[1:]
    rows, columns = (_gaussian(min(_WINDOW, side)).to(one) for side in (height, width))
    window = torch.outer(rows, columns).expand(channels, 1, -1, -1)

    def local(x: Tensor) -> Tensor:
        return F.conv2d(x, window, groups=channels)

    mean_one, mean_two = local(one), local(two)
    square_one, square_two, product = mean_one.square(), mean_two.square(), mean_one * mean_two
    variances = local(one.square()) - square_one + local(two.square()) - square_two
    covariance = local(one * two) - product
    map_ = (2 * product + _C1) * (2 * covariance + _C2)
    map_ = map_ / ((square_one + square_two + _C1) * (variances + _C2))
    return map_.flatten(1).mean(dim=1)


def _gaussian(size: int) -> Tensor:
    at = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    weights = torch.exp(-at.square() / (2 * _SIGMA**2))
    return weights / weights.sum()
