"""Noise that cannot be drawn again without the raw frames.

It is seeded by a hash of the raw frames, so it is another one for every clip, although the same clip gets the same
noise wherever and however often it is anonymized: a second release of a clip then adds no second noise to average over.
Whoever lacks the raw frames cannot compute it. One fixed seed for all videos, as in other released code, is no secret,
and the noise can be subtracted.

Shapes: N frames or clips.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def generator_of(content: Tensor, purpose: str) -> torch.Generator:
    """Return a random generator on the CPU that is seeded by raw frames.

    Args:
        content: Frames or clips of any shape in [0, 1]; they are hashed as a file would hold them, in 256 levels.
        purpose: What the noise is for, so that two methods draw different noise for the same clip.
    """
    levels = (content.detach().clamp(0, 1) * 255).round().to(torch.uint8).cpu().contiguous()
    digest = hashlib.blake2b(levels.numpy().tobytes(), digest_size=8, person=purpose.encode()[:16])
    return torch.Generator().manual_seed(int.from_bytes(digest.digest(), "little") >> 1)


def normal_noise(frames: Tensor, purpose: str) -> Tensor:
    """Return standard normal noise of the shape (N,...) of frames, drawn for each of the N by itself."""
    drawn = [torch.randn(frame.shape, generator=generator_of(frame, purpose)) for frame in frames]
    return torch.stack(drawn).to(frames)
