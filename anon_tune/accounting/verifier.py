"""Checks a claimed (epsilon, delta) by Monte Carlo: estimate, verify, release.

A run of DP-SGD on neighbouring data is a pair of distributions. With y the log of their density ratio at an output,
``delta(epsilon) = E[(1 - exp(epsilon - y))_+]``. The verifier draws outputs, averages, and accepts a claim only if the
mean is far enough below it. A refused claim is not released.

Source:
    Wang et al., arXiv:2304.07927. We differ in the bounds: a lower-tail bound for nonnegative variables with a proven
    second moment, and a tilt of the sampling rate that is ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from anon_tune.accounting.mechanism import Phase, delta
from anon_tune.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_CHUNK = 4_000_000  # numbers in memory at a time


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a verification.

    Attributes:
        accepted: True if the claim may be released.
        epsilon: Epsilon of the claim.
        claimed: Delta of the claim.
        tau: The whole procedure keeps ``claimed / tau``, accepted or not.
        estimate: Mean of the draws, the larger of both directions.
        error: Standard error of that mean.
        num_draws: The number m of draws in each direction.
        margin: What the estimate had to stay below ``claimed / tau`` by.
        alone: Delta that the draws keep without any bound by an accountant; see `overall_delta`.
    """

    accepted: bool
    epsilon: float
    claimed: float
    tau: float
    estimate: float
    error: float
    num_draws: int
    margin: float
    alone: float


def draws_needed(claimed: float, tau: float, moment: float) -> int:
    """Return the number m of draws at which the accept rule of `verify` keeps ``claimed / tau``.

    ``m >= 2 nu log(tau / claimed) / Delta^2``, for a margin Delta of half of the gap between the claim and
    ``claimed / tau``.

    Args:
        claimed: Delta of the claim, in (0, 1).
        tau: In (0, 1).
        moment: A proven upper bound nu of the second moment of a draw.
    """
    margin = _margin(claimed, tau)
    return math.ceil(2 * moment * math.log(tau / claimed) / margin**2)


def draws_for_ratio(claimed: float, ratio: float) -> int:
    """Return the number of draws after which a mean of at most `claimed` has a probability of at most `claimed`.

    That is if the true delta is above ``ratio * claimed``, by ``P[mean <= d] <= exp(-m KL(d || ratio d))``, where KL is
    that of two coins. This bound needs no second moment.

    Args:
        claimed: Delta of the claim, in (0, 1).
        ratio: Above 1, with ``ratio * claimed`` below 1.
    """
    return math.ceil(math.log(1 / claimed) / _divergence(claimed, ratio * claimed))


def overall_delta(accepted: float, num_draws: int) -> float:
    """Return the delta that is kept by releasing only if the mean of some draws is at most `accepted`.

    It is ``min_t t d + q (1 - t d)``, where q bounds the probability of such a mean if the true delta is above ``t d``:
    ``q = exp(-m KL(d || t d))``, as in `draws_for_ratio`. Nothing but the draws is needed. The smallest value is that
    of an optimizer, and any t gives a valid one.

    Args:
        accepted: The largest mean d that is accepted, in (0, 1).
        num_draws: The number m of draws, which must have no tilt.
    """
    from scipy.optimize import minimize_scalar

    def kept(log_ratio: float) -> float:
        true = accepted * math.exp(log_ratio)
        return true + math.exp(-num_draws * _divergence(accepted, true)) * (1 - true)

    limit = -math.log(accepted) * (1 - 1e-9)
    found = minimize_scalar(kept, bounds=(1e-9, limit), method="bounded", options={"xatol": 1e-9})
    return float(found.fun)


def verify(
    phases: Sequence[Phase],
    epsilon: float,
    claimed: float,
    *,
    tau: float = 0.5,
    num_draws: int | None = None,
    tilt: float = 1.0,
    seed: int = 0,
) -> Verdict:
    """Verify a claim about a private run.

    Args:
        phases: The phases of the run.
        epsilon: Epsilon of the claim.
        claimed: Delta of the claim.
        tau: In (0, 1): a smaller one needs fewer draws and keeps less. The guarantee is ``claimed / tau``.
        num_draws: Draws in each direction; None for the number that `draws_needed` asks for.
        tilt: Importance sampling draws the unit this many times as often, at least 1; 1 for none. Where it is in every
            draw already, it counts for more. The weights may then exceed 1, so the bound of the draws is only proven
            without a tilt.
        seed: Seed of the draws.

    Returns:
        The verdict. The claim is accepted if the mean is at most ``claimed / tau - Delta`` in both directions.

    Raises:
        UsageError: ``tau`` or the claim is out of range.
    """
    if not 0 < claimed < tau < 1:
        raise UsageError("verifier", "needs 0 < delta < tau < 1", f"delta {claimed:g}, tau {tau:g}", "Change them")
    needed = draws_needed(claimed, tau, min(1.0, delta(phases, epsilon)))  # a draw is at most 1, so E X^2 <= E X
    number = needed if num_draws is None else num_draws
    margin = _margin(claimed, tau)
    ways: tuple[Literal["remove", "add"], ...] = ("remove", "add")
    found = [estimate_delta(phases, epsilon, number, way, tilt=tilt, seed=seed + at) for at, way in enumerate(ways)]
    mean, error = max(found)
    accepted = number >= needed and mean <= claimed / tau - margin
    alone = overall_delta(claimed / tau - margin, number)
    return Verdict(accepted, epsilon, claimed, tau, mean, error, number, margin, alone)


def estimate_delta(
    phases: Sequence[Phase],
    epsilon: float,
    num_draws: int,
    direction: Literal["remove", "add"] = "remove",
    *,
    tilt: float = 1.0,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the mean and its standard error of draws whose expectation is delta(epsilon).

    Args:
        phases: The phases of the run.
        epsilon: At least 0.
        num_draws: The number of draws.
        direction: Whether the outputs are those of the data with the unit (``remove``) or without it (``add``).
        tilt: As for `verify`; used for ``remove`` only.
        seed: Seed of the draws.
    """
    import numpy as np

    rng = np.random.default_rng([seed, num_draws])
    total = square = 0.0
    at_once = max(1, _CHUNK // max(1, *(phase.num_updates for phase in phases)))
    for start in range(0, num_draws, at_once):
        losses, weights = _draw(rng, phases, min(at_once, num_draws - start), direction, tilt)
        values = np.maximum(0.0, -np.expm1(np.minimum(epsilon - losses, 0.0))) * np.exp(weights)
        total += float(values.sum())
        square += float((values**2).sum())
    mean = total / num_draws
    return mean, math.sqrt(max(0.0, square / num_draws - mean**2) / num_draws)


def _draw(
    rng: np.random.Generator, phases: Sequence[Phase], number: int, direction: str, tilt: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw outputs of whole runs; return their privacy losses (m,) and the logs of their weights (m,)."""
    import numpy as np

    losses, weights = np.zeros(number), np.zeros(number)
    for phase in phases:
        rate, noise, shape = phase.rate, phase.noise_multiplier, (number, phase.num_updates)
        drawn = min(1.0, rate * tilt) if direction == "remove" else 0.0
        size = max(1.0, rate * tilt)  # what a drawn unit adds
        outputs = noise * rng.standard_normal(shape)
        if drawn:
            outputs += size * (rng.random(shape) < drawn)
        ratio = _log_mixture(rate, _rise(outputs, 1.0, noise))
        losses += ratio.sum(axis=1) * (1 if direction == "remove" else -1)
        if direction == "remove" and tilt != 1:
            weights += (ratio - _log_mixture(drawn, _rise(outputs, size, noise))).sum(axis=1)
    return losses, weights


def _rise(outputs: NDArray[np.float64], mean: float, noise: float) -> NDArray[np.float64]:
    """Return the log of ``N(mean, noise^2) / N(0, noise^2)`` at the outputs."""
    return mean * (2 * outputs - mean) / (2 * noise**2)


def _log_mixture(rate: float, rise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``log(1 - rate + rate * exp(rise))``."""
    import numpy as np

    if rate == 1:
        return rise
    mixed: NDArray[np.float64] = np.logaddexp(math.log1p(-rate), math.log(rate) + rise)
    return mixed


def _divergence(first: float, second: float) -> float:
    """Return KL(first || second) of two coins, by their chances of heads."""
    return first * math.log(first / second) + (1 - first) * math.log((1 - first) / (1 - second))


def _margin(claimed: float, tau: float) -> float:
    return (claimed / tau - claimed) / 2
