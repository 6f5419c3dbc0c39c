"""An empirical lower bound of epsilon from guesses about canaries, in one run.

Each of m canaries is put into the training clips with probability 1/2. After training, an attacker guesses for r of
them whether they were in. If a run keeps (epsilon, delta), it can hardly be right about too many.

Source:
    Steinke, Nasr and Jagielski, arXiv:2305.08846, corollary 5.4.
"""

from __future__ import annotations


def guess_p_value(num_canaries: int, num_guesses: int, num_right: int, epsilon: float, delta: float) -> float:
    """Return the largest probability with which a run that keeps (epsilon, delta) lets so many guesses be right.

    ``f(v) + 2 m delta max_i (f(v - i) - f(v)) / i`` with ``f(v) = P[Bin(r, e^eps / (1 + e^eps)) >= v]``.

    Args:
        num_canaries: m, at least `num_guesses`.
        num_guesses: r, at least 1.
        num_right: v, from 0 to `num_guesses`.
        epsilon: At least 0.
        delta: At least 0.
    """
    import numpy as np
    from scipy.special import expit
    from scipy.stats import binom

    at_least = binom.sf(np.arange(num_right, -1, -1) - 1, num_guesses, expit(epsilon))  # f(v - i) for i = 0, 1, ...
    bound = float(at_least[0])
    if delta > 0 and num_right > 0:
        steps = np.arange(1, num_right + 1)
        bound += 2 * num_canaries * delta * max(0.0, float(((at_least[1:] - at_least[0]) / steps).max()))
    return min(1.0, bound)


def canary_epsilon(
    num_canaries: int, num_guesses: int, num_right: int, delta: float, confidence: float = 0.95
) -> float:
    """Return the largest epsilon that the guesses refute: a lower bound of epsilon, 0 if they refute none.

    Args:
        num_canaries: m.
        num_guesses: r, at most m.
        num_right: v.
        delta: Delta of the claim.
        confidence: Confidence of the bound, in (0, 1).
    """
    low, high = 0.0, 1.0
    if num_guesses == 0 or guess_p_value(num_canaries, num_guesses, num_right, 0.0, delta) > 1 - confidence:
        return 0.0
    while guess_p_value(num_canaries, num_guesses, num_right, high, delta) <= 1 - confidence and high < 64:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        refuted = guess_p_value(num_canaries, num_guesses, num_right, middle, delta) <= 1 - confidence
        low, high = (middle, high) if refuted else (low, middle)
    return low
