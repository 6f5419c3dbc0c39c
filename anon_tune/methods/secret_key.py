"""Noise for private release. It cannot be drawn again outside this process.

A hash of the frames is no seed here: who guesses the frames could check the guess. So the seed also depends on a secret
that is drawn when the process starts. The same frames get the same noise within a process, so that there is nothing to
average over. Another process draws other noise, which is another release and costs its epsilon again.
"""

from __future__ import annotations

import hashlib
import secrets

import torch
from torch import Tensor

_SECRET = secrets.token_bytes(32)


def private_noise(content: Tensor, size: tuple[int, ...], purpose: str) -> Tensor:
    """Return standard normal noise of a size for some raw frames.

    Args:
        content: The frames, of any shape, in [0, 1].
        size: Size of the noise.
        purpose: What the noise is for, so that two uses draw different noise.
    """
    raw = content.detach().cpu().contiguous().numpy().tobytes()
    digest = hashlib.blake2b(raw, digest_size=8, key=_SECRET, person=purpose.encode()[:16]).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)
    return torch.randn(size, generator=generator).to(content)
