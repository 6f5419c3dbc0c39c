"""An anonymizer that makes every pixel black.

Shapes: B clips, T frames per clip, C = 3 channels (RGB), H height, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from anon_tune.networks import Anonymizer
from anon_tune.recipe import Recipe


class BlackOut(Anonymizer):
    """Makes every pixel 0."""

    def rewrite(self, clips: Tensor) -> Tensor:
        return torch.zeros_like(clips)


def build(recipe: Recipe) -> Anonymizer:
    """Return the anonymizer."""
    return BlackOut()
