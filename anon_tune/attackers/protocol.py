"""The interface of an attacker: its setting, its training and its result.

Shapes: N clips of a split, B clips, T frames per clip, C channels, H height, W width, A private attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from anon_tune.clips import ClipSet
    from anon_tune.networks import Anonymizer

AttackerInputs = Callable[["Anonymizer", "Tensor"], Mapping[str, "Tensor"]]
"""What attackers get besides the frames, such as a mask or a point-spread function.

Called with the anonymizer and raw clips (B,T,C,H,W) in [0, 1]; returns tensors (B,...) by name, with one row per clip.
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """What an attacker is built for.

    Attributes:
        num_attributes: A, the number of private attributes.
        width: Channels of a network's first layer, a multiple of 4; a larger one can learn more.
        clip_shape: (T, H, W), the same for all clips.
        weights: A local file of pretrained weights to start from; None for fresh weights. Only attackers by the name of
            a network, as ``timm:resnet50``, read it.
    """

    num_attributes: int
    width: int
    clip_shape: tuple[int, int, int]
    weights: str | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """How a training ended.

    Attributes:
        step: The step whose weights were kept; 0 if the attacker is not trained in steps.
        plateau: True if the validation curve had stopped rising.
        curve: Step and validation value of every look; cMAP or top-1.
        validation: Scores (N,A) of the validation clips by models that did not see them. An attacker that learns on the
            validation clips too must give them; None if `predict` may be asked.
    """

    step: int = 0
    plateau: bool = True
    curve: tuple[tuple[int, float], ...] = ()
    validation: NDArray[np.float64] | None = None


@runtime_checkable
class Attacker(Protocol):
    """An attacker that fits itself. An attacker that is a network is trained by the lab instead.

    It gets sets of anonymized clips: `frames` (N,T,H,W,C) uint8, `private` (N,A), and in `inputs` what its spec asks
    for besides the frames.
    """

    def fit(self, train: ClipSet, val: ClipSet, seed: int) -> Fit:
        """Learn from the training split, and choose by the validation split. A pure function of clips and seed."""
        ...

    def predict(self, clips: ClipSet) -> NDArray[np.float64]:
        """Return finite scores (N,A); higher means more likely. It must not look at the labels."""
        ...
