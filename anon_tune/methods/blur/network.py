"""An anonymizer that blurs whole frames.

Shapes: B clips, T frames per clip, C = 3 channels (RGB), H height, W width.
"""

from __future__ import annotations

import math

from torch import Tensor

from anon_tune.networks import Anonymizer
from anon_tune.networks.filters import convolve, gaussian_kernel
from anon_tune.recipe import Recipe


class Blur(Anonymizer):
    """Gaussian blur, cut off at four sigma. Pixels beyond the border repeat those at the border.

    Args:
        sigma: Standard deviation in pixels.
    """

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma

    def rewrite(self, clips: Tensor) -> Tensor:
        kernel = gaussian_kernel(clips.new_tensor(self.sigma), math.ceil(4 * self.sigma))
        return convolve(clips.flatten(0, 1), kernel).reshape(clips.shape)


def build(recipe: Recipe, sigma: float) -> Anonymizer:
    """Return the anonymizer."""
    return Blur(sigma)
