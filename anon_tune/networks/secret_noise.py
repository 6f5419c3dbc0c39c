"""Noise that cannot be drawn again without the raw frames.

Its key is a hash of the raw frames, so it is another one for every clip, although the same clip gets the same noise
wherever and however often it is anonymized: a second release of a clip then adds no second noise to average over. One
fixed seed for all videos, as in other released code, is no secret, and the noise can be subtracted. Who can guess the
raw frames to the last level of every pixel can also draw the noise.

Shapes: N frames or clips.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from anon_tune.networks.keyed_numbers import KeyedNumbers


def numbers_of(content: Tensor, purpose: str) -> KeyedNumbers:
    """Return a stream of random numbers whose key is a hash of raw frames.

    Args:
        content: Frames or clips of any shape in [0, 1]; they are hashed as a file would hold them, in 256 levels.
        purpose: What the noise is for, so that two methods draw different noise for the same clip.
    """
    levels = (content.detach().clamp(0, 1) * 255).round().to(torch.uint8).cpu().contiguous()
    hashed = hashlib.blake2b(levels.numpy().tobytes(), digest_size=32, person=purpose.encode()[:16])
    return KeyedNumbers(hashed.digest())


def normal_noise(frames: Tensor, purpose: str) -> Tensor:
    """Return standard normal noise of the shape (N,...) of frames, drawn for each of the N by itself."""
    return torch.stack([numbers_of(frame, purpose).normal(frame.shape) for frame in frames]).to(frames)
