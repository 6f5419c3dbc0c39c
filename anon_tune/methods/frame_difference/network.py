"""An anonymizer that shows the difference to the frame before.

Shapes: B clips, T frames per clip, C = 3 channels (RGB), H height, W width.
"""

from __future__ import annotations

from torch import Tensor

from anon_tune.networks import Anonymizer
from anon_tune.networks.filters import difference
from anon_tune.recipe import Recipe


class FrameDifference(Anonymizer):
    """Shows ``0.5 + gain / 2 (x_t - x_{t-1})``, clamped to [0, 1].

    The first frame is the same as the second. A clip of one frame becomes grey.
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
