"""Attackers that undo a known blur by Wiener's filter before they look, as the other attackers do.

They belong to methods that tell the spot of their lens (``spots``) and the variance of its noise (``noise_variance``).

Shapes: N clips, B clips, T frames per clip, C = 3 channels (RGB), H height, W width, S side of a spot in pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from anon_tune.attackers import clip, descriptors, frame, motion, pixels
from anon_tune.attackers.protocol import Attacker, Fit, Setting
from anon_tune.attackers.spec import AttackerSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from anon_tune.clips import ClipSet

_INPUTS = ("spots", "noise_variance")
_SIGNAL = 0.05  # variance of pixels of ordinary frames
_BATCH = 16  # clips that are restored together


def restore(clips: Tensor, spots: Tensor, noise: Tensor) -> Tensor:
    """Return clips (B,T,C,H,W) in [0, 1] from which the blur by known spots is taken, in the same range.

    Args:
        clips: Blurred clips (B,T,C,H,W).
        spots: Spots of each clip's colours, (B,C,S,S).
        noise: Power of the noise relative to that of the frames, (B,), above 0.
    """
    from anon_tune.networks.optics import wiener

    num_frames = clips.shape[1]
    kernels = spots.repeat_interleave(num_frames, 0)
    each = noise.repeat_interleave(num_frames).view(-1, 1, 1, 1)
    return wiener(clips.flatten(0, 1), kernels, each).clamp(0, 1).reshape(clips.shape)


def _network(spec: AttackerSpec, setting: Setting) -> nn.Module:
    import torch
    from torch import nn

    class Restoring(nn.Module):
        """Restores clips, then shows them to a network. How much noise the filter expects is learned too."""

        def __init__(self) -> None:
            super().__init__()
            built = spec.build(setting)
            assert isinstance(built, nn.Module)
            self.network = built
            self.log_factor = nn.Parameter(torch.zeros(()))

        def forward(self, clips: Tensor, spots: Tensor, noise_variance: Tensor) -> Tensor:
            """Map clips (B,T,C,H,W) in [0, 1], spots and the variance of the noise to logits (B,A)."""
            noise = noise_variance / _SIGNAL * (4 * self.log_factor).exp()
            return cast("Tensor", self.network(restore(clips, spots, noise)))

    return Restoring()


class RestoringAttacker:
    """Restores clips, then shows them to an attacker that fits itself.

    Args:
        attacker: The attacker.
    """

    def __init__(self, attacker: Attacker) -> None:
        self.attacker = attacker

    def fit(self, train: ClipSet, val: ClipSet, seed: int) -> Fit:
        """Fit the attacker on restored clips."""
        return self.attacker.fit(restored(train), restored(val), seed)

    def predict(self, clips: ClipSet) -> NDArray[np.float64]:
        """Return the attacker's scores (N,A) of restored clips."""
        return self.attacker.predict(restored(clips))


def restored(clips: ClipSet) -> ClipSet:
    """Return a split with restored frames, rounded to uint8."""
    import numpy as np
    import torch

    frames = np.empty_like(clips.frames)
    for at in range(0, len(clips), _BATCH):
        rows = slice(at, at + _BATCH)
        seen = torch.from_numpy(np.ascontiguousarray(clips.frames[rows])).permute(0, 1, 4, 2, 3).float() / 255
        spots, variance = (torch.from_numpy(clips.inputs[name][rows]) for name in _INPUTS)
        made = (restore(seen, spots, variance / _SIGNAL) * 255).round().to(torch.uint8)
        frames[rows] = made.permute(0, 1, 3, 4, 2).numpy()
    return replace(clips, frames=frames)


def _builder(spec: AttackerSpec) -> Callable[[Setting], Any]:
    if spec is descriptors.SPEC:
        return lambda setting: RestoringAttacker(cast("Attacker", spec.build(setting)))
    return lambda setting: _network(spec, setting)


SPECS = {
    f"wiener-{spec.name}": replace(
        spec,
        name=f"wiener-{spec.name}",
        summary=f"undoes the known blur of the method's lens, then looks as '{spec.name}' does",
        source="ours; the filter is Wiener's",
        build=_builder(spec),
        inputs=_INPUTS,
        pictures=("spots",),
    )
    for spec in (frame.SPEC, clip.SPEC, motion.SPEC, pixels.SPEC, descriptors.SPEC)
}
