"""An anonymizer that pixelates whole frames.

Shapes: B clips, T frames per clip, C = 3 channels (RGB), H height, W width.
"""

from __future__ import annotations

from torch import Tensor

from anon_tune.networks import Anonymizer
from anon_tune.networks.filters import pixelate
from anon_tune.recipe import Recipe


class Pixelate(Anonymizer):
    """Replaces every block of size x size pixels by its mean."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def rewrite(self, clips: Tensor) -> Tensor:
        return pixelate(clips.flatten(0, 1), self.size).reshape(clips.shape)


def build(recipe: Recipe, size: int) -> Anonymizer:
    """Return the anonymizer."""
    return Pixelate(size)
