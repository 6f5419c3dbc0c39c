"""Random views of the clips that an attacker learns from.

Shapes: B clips, T frames per clip, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from anon_tune.clips import ClipBatch
from anon_tune.training.views import draw_turns, random_view, turn


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Which random views are taken. Random numbers come from torch's global generator.

    Attributes:
        max_shift: Largest shift of a clip in each direction, in pixels.
        mirrors: True to mirror half of the training clips, and to score every clip as the mean of itself and its
            mirror image.
        pictures: Names of the inputs that are mirrored with their clip.
    """

    max_shift: int = 0
    mirrors: bool = False
    pictures: tuple[str, ...] = ()

    def view(self, batch: ClipBatch) -> ClipBatch:
        """Return a random view of each clip; all frames of a clip get the same view."""
        clips, inputs = batch.clips, dict(batch.inputs)
        if self.mirrors:
            turned = draw_turns(len(clips))
            clips = turn(clips, turned)
            inputs |= {name: turn(inputs[name], turned) for name in self.pictures}
        return replace(batch, clips=random_view(clips, self.max_shift, mirrors=False), inputs=inputs)

    def mirrored(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the inputs of mirrored clips."""
        return {name: value.flip(-1) if name in self.pictures else value for name, value in inputs.items()}


AS_THEY_ARE = Augmentation()
"""No random views."""
