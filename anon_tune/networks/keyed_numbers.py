"""Random numbers that are computed from a secret key. Whoever lacks the key cannot compute them.

A generator of torch is no secret on a CPU: it takes the low 32 bits of its seed, and who sees noised frames can try all
of them.
"""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor


class KeyedNumbers:
    """A stream of random numbers, which are the bits of SHAKE-256 of a key and a count of the draws.

    Args:
        key: The key, of 32 bytes. The same key gives the same stream.
    """

    def __init__(self, key: bytes) -> None:
        self._key, self._num_draws = key, 0

    def uniform(self, size: tuple[int, ...]) -> Tensor:
        """Return numbers of a size, uniform in [0, 1)."""
        return (self._words(size) & (2**24 - 1)) * 2.0**-24

    def normal(self, size: tuple[int, ...]) -> Tensor:
        """Return standard normal numbers of a size."""
        inside = (
            (self._words(size) & (2**52 - 1)).double() + 0.5
        ) * 2.0**-52  # never 0 or 1, whose quantile is infinite
        drawn: Tensor = torch.special.ndtri(inside).float()
        return drawn

    def _words(self, size: tuple[int, ...]) -> Tensor:
        num_bytes = 8 * math.prod(size)
        drawn = hashlib.shake_256(self._key + self._num_draws.to_bytes(8, "big")).digest(num_bytes)
        self._num_draws += 1
        words = torch.frombuffer(bytearray(drawn), dtype=torch.int64) if drawn else torch.empty(0, dtype=torch.int64)
        return words.view(size)
