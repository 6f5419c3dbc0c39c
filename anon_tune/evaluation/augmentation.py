"""Random views of the clips that an attacker learns from.

Shapes: B clips, T frames per clip, C channels, H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from anon_tune.training.views import random_view


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Which random views are taken. Random numbers come from torch's global generator.

    Attributes:
        max_shift: Largest shift of a clip in each direction, in pixels.
        mirrors: True to mirror half of the training clips, and to score every clip as the mean of itself and its
            mirror image.
    """

    max_shift: int = 0
    mirrors: bool = False

    def view(self, clips: Tensor) -> Tensor:
        """Return a random view of each clip (B,T,C,H,W); all frames of a clip get the same view."""
        return random_view(clips, self.max_shift, self.mirrors)


AS_THEY_ARE = Augmentation()
"""No random views."""
