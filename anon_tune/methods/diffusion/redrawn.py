"""The check against redrawn training people: does the denoiser draw frames of its training split?

Shapes: N frames of a set, D values of a frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_SIDE = 16  # pixels; frames are compared after shrinking, so that noise does not hide who is in them


@dataclass(frozen=True, slots=True)
class Redrawn:
    """How close anonymized frames of other people come to frames of the training split.

    Distances are root mean squares of differences of pixels in [0, 1], of frames shrunk to 16 x 16.

    Attributes:
        share: Share of anonymized frames that are closer to some training frame than to their own raw frame.
        share_closer: Share of anonymized frames that are closer to the nearest training frame than their raw frame is.
        to_training: Mean distance of an anonymized frame to the nearest training frame.
        to_own: Mean distance of an anonymized frame to its own raw frame.
        raw_to_training: Mean distance of a raw frame to the nearest training frame.
    """

    share: float
    share_closer: float
    to_training: float
    to_own: float
    raw_to_training: float


def redrawn(changed: NDArray[np.uint8], raw: NDArray[np.uint8], training: NDArray[np.uint8]) -> Redrawn:
    """Compare anonymized frames with their raw frames and with the training split.

    Args:
        changed: Anonymized frames (...,H,W,3) of a split that shares no group with the training split.
        raw: The same frames before, in the same order.
        training: Raw frames (...,H,W,3) of the training split.
    """
    made, own, seen = (_small(frames) for frames in (changed, raw, training))
    scale = made.shape[1] ** 0.5
    nearest = torch.cdist(made, seen).amin(dim=1) / scale
    before = torch.cdist(own, seen).amin(dim=1) / scale
    distance = (made - own).norm(dim=1) / scale
    return Redrawn(
        share=float((nearest < distance).float().mean()),
        share_closer=float((nearest < before).float().mean()),
        to_training=float(nearest.mean()),
        to_own=float(distance.mean()),
        raw_to_training=float(before.mean()),
    )


def _small(frames: NDArray[np.uint8]) -> Tensor:
    """Return frames (...,H,W,3) as rows (N,D) in [0, 1]."""
    flat = np.asarray(frames).reshape(-1, *frames.shape[-3:])
    seen = torch.from_numpy(flat.copy()).permute(0, 3, 1, 2).float() / 255
    return torch.nn.functional.interpolate(seen, (_SIDE, _SIDE), mode="area").flatten(1)
