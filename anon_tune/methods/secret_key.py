"""Noise for private release. It cannot be drawn again outside this process.

A hash of the frames is no key here: who guesses the frames could check the guess. So the key also depends on a secret
that is drawn when the process starts. The same frames get the same noise within a process, so that there is nothing to
average over. Another process draws other noise, which is another release and costs its epsilon again.
"""

from __future__ import annotations

import hashlib
import secrets

from torch import Tensor

from anon_tune.networks.keyed_numbers import KeyedNumbers

_SECRET = secrets.token_bytes(32)


def private_noise(content: Tensor, size: tuple[int, ...], purpose: str) -> Tensor:
    """Return standard normal noise of a size for some raw frames.

    Args:
        content: The frames, of any shape, in [0, 1].
        size: Size of the noise.
        purpose: What the noise is for, so that two uses draw different noise.
    """
    raw = content.detach().cpu().contiguous().numpy().tobytes()
    key = hashlib.blake2b(raw, digest_size=32, key=_SECRET, person=purpose.encode()[:16]).digest()
    return KeyedNumbers(key).normal(size).to(content)
