"""The frame rate that encoders are given."""

from __future__ import annotations

from fractions import Fraction

_SLOWEST = Fraction(1, 1000)  # frames per second; what is less would be rounded to 0


def encoded_rate(fps: float) -> Fraction:
    """Return a frame rate, above 0, as a fraction with a denominator of at most 1000."""
    return max(_SLOWEST, Fraction(fps).limit_denominator(1000))
