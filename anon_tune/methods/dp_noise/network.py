"""The anonymizer that pixelates frames and adds the noise of the analytic Gaussian mechanism.

Shapes: B clips, T frames per clip, C = 3 channels (RGB), H height, W width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from anon_tune.accounting import gaussian_noise_multiplier
from anon_tune.methods.secret_key import private_noise
from anon_tune.networks import Anonymizer
from anon_tune.networks.filters import pixelate
from anon_tune.recipe import Recipe


class DpNoise(Anonymizer):
    """Replaces blocks by their means and adds Gaussian noise to the means.

    Neighbouring clips differ in one unit, whose content is replaced by any other: one block of one frame (``patch``),
    one frame, or the whole clip. A mean in [0, 1] changes by at most 1, so the sensitivity is the square root of the
    number of means in a unit. Clamping afterwards costs nothing. The statement is about one unit of the video that is
    released; a person is in many frames, and then it is that many times weaker unless the unit is the clip.

    Args:
        epsilon: Above 0.
        unit: ``patch``, ``frame`` or ``clip``.
        block: Side of a block in pixels.
        delta: In (0, 1).

    Source:
        Fan, DP-Pix (2018). We differ: Gaussian noise instead of Laplace noise, calibrated by Balle and Wang
        (arXiv:1805.06530), and other units than a number of pixels.
    """

    num_before = None
    sees_frames_once = True

    def __init__(self, epsilon: float, unit: str, block: int, delta: float) -> None:
        super().__init__()
        self.noise_multiplier = gaussian_noise_multiplier(epsilon, delta)
        self.unit, self.block = unit, block

    def deviation(self, num_frames: int, height: int, width: int) -> float:
        """Return the standard deviation of the noise on the mean of a block, in units of [0, 1]."""
        rows, columns = (math.ceil(side / min(self.block, side)) for side in (height, width))
        num_means = {"patch": 3, "frame": 3 * rows * columns, "clip": 3 * rows * columns * num_frames}[self.unit]
        return self.noise_multiplier * math.sqrt(num_means)

    def rewrite(self, clips: Tensor) -> Tensor:
        return torch.stack([self._noised(clip) for clip in clips])

    def _noised(self, clip: Tensor) -> Tensor:
        num_frames, _, height, width = clip.shape
        tall, wide = min(self.block, height), min(self.block, width)
        size = num_frames, 3, math.ceil(height / tall), math.ceil(width / wide)
        noise = private_noise(clip, size, "dp-noise")
        spread = noise.repeat_interleave(tall, -2)[..., :height, :].repeat_interleave(wide, -1)[..., :width]
        return pixelate(clip, self.block) + self.deviation(num_frames, height, width) * spread


def build(recipe: Recipe, epsilon: float, unit: str, block: int, delta: float) -> DpNoise:
    """Return the anonymizer."""
    return DpNoise(epsilon, unit, block, delta)
