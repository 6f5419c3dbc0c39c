"""The Gaussian mechanism in closed form."""

from __future__ import annotations

import math


def gaussian_delta(epsilon: float, noise_multiplier: float, num_releases: int = 1) -> float:
    """Return the exact delta of a value that is released with Gaussian noise.

    ``delta = Phi(mu/2 - epsilon/mu) - e^epsilon Phi(-mu/2 - epsilon/mu)`` with ``mu = sqrt(num_releases) / noise``.

    Args:
        epsilon: At least 0.
        noise_multiplier: Standard deviation of the noise as a multiple of the sensitivity, above 0.
        num_releases: Number of releases with independent noise.

    Source:
        Balle and Wang, arXiv:1805.06530, theorem 8.

    Example:
        >>> round(gaussian_delta(1.0, 1.0), 10)
        0.1269367375
    """
    from scipy.special import log_ndtr, ndtr

    mu = math.sqrt(num_releases) / noise_multiplier
    low = -mu / 2 - epsilon / mu
    return float(ndtr(mu / 2 - epsilon / mu) - math.exp(epsilon + log_ndtr(low)))


def gaussian_epsilon(delta: float, noise_multiplier: float, num_releases: int = 1) -> float:
    """Return the smallest epsilon at a delta in (0, 1); see `gaussian_delta`."""
    from scipy.optimize import brentq

    if gaussian_delta(0, noise_multiplier, num_releases) <= delta:
        return 0.0
    high = 1.0
    while gaussian_delta(high, noise_multiplier, num_releases) > delta:
        high *= 2
    return float(brentq(lambda e: gaussian_delta(e, noise_multiplier, num_releases) - delta, 0, high, xtol=1e-9))


def gaussian_noise_multiplier(epsilon: float, delta: float, num_releases: int = 1) -> float:
    """Return the smallest noise multiplier that keeps (epsilon, delta), both above 0: the analytic Gaussian mechanism.

    The textbook ``sqrt(2 ln(1.25 / delta)) / epsilon`` is proven for epsilon up to 1 only, and too small at 8.

    Example:
        >>> round(gaussian_noise_multiplier(8.0, 1e-4), 4)
        0.5431
    """
    from scipy.optimize import brentq

    low = high = 1.0
    while gaussian_delta(epsilon, high) > delta:
        high *= 2
    while gaussian_delta(epsilon, low) < delta:
        low /= 2
    found = brentq(lambda s: gaussian_delta(epsilon, s) - delta, low, high, xtol=1e-10)
    return float(found) * math.sqrt(num_releases)
