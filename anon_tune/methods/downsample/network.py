"""An anonymizer that reduces frames and enlarges them again.

Shapes: B clips, T frames per clip, C = 3 channels (RGB), H height, W width.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from anon_tune.networks import Anonymizer
from anon_tune.recipe import Recipe


class Downsample(Anonymizer):
    """Reduces height and width to 1/factor, rounded up, by area averages, then enlarges bilinearly."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def rewrite(self, clips: Tensor) -> Tensor:
        frames = clips.flatten(0, 1)
        height, width = frames.shape[-2:]
        small = F.interpolate(frames, (-(-height // self.factor), -(-width // self.factor)), mode="area")
        return F.interpolate(small, (height, width), mode="bilinear", align_corners=False).reshape(clips.shape)


def build(recipe: Recipe, factor: int) -> Anonymizer:
    """Return the anonymizer."""
    return Downsample(factor)
