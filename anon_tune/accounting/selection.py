"""What it costs to choose the best of several private runs.

Source:
    Papernot and Steinke, arXiv:2110.03620. They let the number of runs be random: one run's epsilon is then multiplied
    by a small factor instead of by the number of runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from anon_tune.accounting.mechanism import Phase, event
from anon_tune.errors import UsageError

Law = Literal["logarithmic", "negative-binomial", "geometric", "poisson"]
LAWS: tuple[Law, ...] = ("logarithmic", "negative-binomial", "geometric", "poisson")

_SHAPES: dict[Law, float] = {"logarithmic": 0.0, "negative-binomial": 0.5, "geometric": 1.0, "poisson": math.inf}
_WHERE = "--draw-trials"


@dataclass(frozen=True, slots=True)
class NumberLaw:
    """The law by which the number K of runs is drawn, before any run begins.

    The logarithmic and the geometric law are truncated negative binomials of shape 0 and 1, and ``negative-binomial``
    is the one of shape 1/2, between them. By these K is at least 1. By the Poisson law K can be 0, and then nothing is
    released.

    Attributes:
        law: Name of the law.
        mean: Expected number of runs, above 1.
    """

    law: Law
    mean: float

    @classmethod
    def parse(cls, text: str) -> NumberLaw:
        """Read ``LAW:MEAN``, for example ``logarithmic:16``.

        Raises:
            UsageError: The law is unknown, or the mean is no number above 1.
        """
        name, _, mean = text.partition(":")
        if name not in LAWS:
            raise UsageError(_WHERE, f"the law must be one of {', '.join(LAWS)}", name, "Write for example geometric:8")
        try:
            value = float(mean)
        except ValueError:
            value = math.nan
        if not 1 < value <= 10_000:
            rule = "the expected number of trials must be above 1 and at most 10000"
            raise UsageError(_WHERE, rule, mean, f"Write for example {name}:8")
        return cls(name, value)

    def __str__(self) -> str:
        return f"{self.law}:{self.mean:g}"

    @property
    def shape(self) -> float:
        """Shape eta of the truncated negative binomial; infinite for Poisson."""
        return _SHAPES[self.law]

    @property
    def gamma(self) -> float:
        """Parameter of the truncated negative binomial, in (0, 1); without meaning for Poisson."""
        return _gamma(self.shape, self.mean)

    def draw(self, uniform: float) -> int:
        """Return the number K that belongs to a uniform random number in [0, 1)."""
        if self.law == "poisson":
            number, chance = 0, math.exp(-self.mean)
        else:
            gamma = self.gamma
            number, chance = 1, negative_binomial_probability(self.shape, gamma, 1)
        left = uniform - chance
        while left >= 0 and number < 100 * self.mean + 1000:
            if self.law == "poisson":
                chance *= self.mean / (number + 1)
            else:
                chance *= (1 - gamma) * (number + self.shape) / (number + 1)
            number += 1
            left -= chance
        return number

    def probability(self, number: int) -> float:
        """Return P(K = number)."""
        if self.law == "poisson":
            return math.exp(number * math.log(self.mean) - self.mean - math.lgamma(number + 1))
        return negative_binomial_probability(self.shape, self.gamma, number)


def negative_binomial_probability(shape: float, gamma: float, number: int) -> float:
    """Return P(K = number) of the truncated negative binomial law.

    ``(1-g)^k / (g^-eta - 1) prod_{l<k} (l+eta)/(l+1)``, and ``(1-g)^k / (k log(1/g))`` for eta = 0.

    Args:
        shape: eta, above -1.
        gamma: g, in (0, 1).
        number: k, at least 1.
    """
    if number < 1:
        return 0.0
    if shape == 0:
        return (1 - gamma) ** number / (number * math.log(1 / gamma))
    product = math.prod((before + shape) / (before + 1) for before in range(number))
    return float((1 - gamma) ** number / (gamma**-shape - 1) * product)


def negative_binomial_mean(shape: float, gamma: float) -> float:
    """Return the mean of the truncated negative binomial law."""
    if shape == 0:
        return (1 / gamma - 1) / math.log(1 / gamma)
    return float(shape * (1 - gamma) / (gamma * (1 - gamma**shape)))


def _gamma(shape: float, mean: float) -> float:
    from scipy.optimize import brentq

    if math.isinf(shape):
        return math.nan
    return float(brentq(lambda g: negative_binomial_mean(shape, g) - mean, 1e-12, 1 - 1e-9, xtol=1e-15))


def selection_epsilon(phases: Sequence[Phase], delta: float, law: NumberLaw) -> float:
    """Return epsilon of releasing the best of K runs, by theorems 2 and 6 of the source.

    This holds if K is drawn by the law, every run draws its values independently from one fixed distribution, `phases`
    bounds every run, and nothing of the other runs is released.

    Args:
        phases: The costliest run that can be drawn.
        delta: In (0, 1).
        law: The law of the number of runs.
    """
    from dp_accounting import dp_event, rdp

    if sum(phase.num_updates for phase in phases) == 0:
        return 0.0
    repeated = dp_event.RepeatAndSelectDpEvent(event(phases), law.mean, law.shape)
    return float(rdp.RdpAccountant().compose(repeated).get_epsilon(delta))
