"""An anonymizer that inverts every pixel.

Shapes: B clips, T frames per clip, C = 3 channels (RGB), H height, W width.
"""

from __future__ import annotations

from torch import Tensor

from anon_tune.networks import Anonymizer
from anon_tune.recipe import Recipe


class Negative(Anonymizer):
    """Returns ``1 - x``."""

    def rewrite(self, clips: Tensor) -> Tensor:
        return 1 - clips


def build(recipe: Recipe) -> Anonymizer:
    """Return the anonymizer."""
    return Negative()
