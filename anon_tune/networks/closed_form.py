"""Anonymizers that nobody trains: the anchors and the filters that tools in use apply to whole frames.

Shapes: B clips, T frames a clip, C = 3 channels (RGB), H height, W width. Sizes are in pixels of the frames at
hand. Arguments have the names and ranges of `anon_tune.method.CLOSED_FORM`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from anon_tune.networks.anonymizers import Anonymizer
from anon_tune.networks.filters import convolve, gaussian_kernel, pixelate


class Identity(Anonymizer):
    """The anchor that changes nothing: the ceiling of leakage and accuracy."""

    def rewrite(self, clips: Tensor) -> Tensor:
        return clips


class BlackOut(Anonymizer):
    """The anchor that removes everything: the floor of leakage and accuracy."""

    def rewrite(self, clips: Tensor) -> Tensor:
        return torch.zeros_like(clips)


class Negative(Anonymizer):
    """``1 - x``: undone by anybody, so what it hides is hidden from attackers that do not adapt only."""

    def rewrite(self, clips: Tensor) -> Tensor:
        return 1 - clips


class Downsample(Anonymizer):
    """Averages areas down to 1/factor of height and width (rounded up), then goes back bilinearly."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def rewrite(self, clips: Tensor) -> Tensor:
        frames = clips.flatten(0, 1)
        height, width = frames.shape[-2:]
        small = F.interpolate(frames, (-(-height // self.factor), -(-width // self.factor)), mode="area")
        return F.interpolate(small, (height, width), mode="bilinear", align_corners=False).reshape(clips.shape)


class Blur(Anonymizer):
    """Gaussian blur, cut off at four sigma; beyond the border the border's pixels are repeated."""

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma

    def rewrite(self, clips: Tensor) -> Tensor:
        kernel = gaussian_kernel(clips.new_tensor(self.sigma), math.ceil(4 * self.sigma))
        return convolve(clips.flatten(0, 1), kernel).reshape(clips.shape)


class Pixelate(Anonymizer):
    """The mean of every block of size x size pixels in place of its pixels."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def rewrite(self, clips: Tensor) -> Tensor:
        return pixelate(clips.flatten(0, 1), self.size).reshape(clips.shape)


class FrameDifference(Anonymizer):
    """``0.5 + gain / 2 (x_t - x_{t-1})``, cut to [0, 1].

    The first frame shows the difference of the second; a clip of one frame is grey.
    """

    num_before = 1

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = gain

    def rewrite(self, clips: Tensor) -> Tensor:
        return 0.5 + self.gain / 2 * difference(clips)


def difference(clips: Tensor) -> Tensor:
    """Return ``x_t - x_{t-1}`` of (B,T,3,H,W), in [-1, 1]; the first frame takes the second's, or 0 if T = 1."""
    if clips.shape[1] == 1:
        return torch.zeros_like(clips)
    changes = clips.diff(dim=1)
    return torch.cat([changes[:, :1], changes], dim=1)
