"""Shapes: B clips, T frames per clip, C = 3 channels (RGB), H height, W width."""

from __future__ import annotations

from torch import Tensor

from anon_tune.networks import Anonymizer
from anon_tune.networks.filters import difference
from anon_tune.recipe import Recipe


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


def build(recipe: Recipe, gain: float) -> Anonymizer:
    """Return the anonymizer."""
    return FrameDifference(gain)
