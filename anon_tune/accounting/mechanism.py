"""Epsilon and delta of noised training steps, by the accountants of dp-accounting.

A private run is a composition of phases. Each phase is a number of updates, and each update adds Gaussian noise to a
sum of clipped gradients of a Poisson sample. Two accountants bound it: privacy loss distributions (PLD), which are
tight, and Rényi differential privacy (RDP), beside them and where a theorem asks for it. Neighbouring data differ in
one unit that is added or removed; the two directions differ, and the larger value counts.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from anon_tune.errors import UsageError

if TYPE_CHECKING:
    from dp_accounting import DpEvent

Accountant = Literal["pld", "rdp"]
Direction = Literal["remove", "add", "both"]

_FINEST, _COARSEST = 1e-4, 1e-2
_STEPS_AT_FINEST = 2_000  # a coarser grid stays an upper bound; it keeps long runs at about a second


@dataclass(frozen=True, slots=True)
class Phase:
    """Updates of one kind.

    Attributes:
        rate: Probability with which a unit is in the sample of an update, in (0, 1].
        noise_multiplier: Standard deviation of the noise as a multiple of the clipping norm, above 0.
        num_updates: Number of updates, at least 0.
    """

    rate: float
    noise_multiplier: float
    num_updates: int

    def __post_init__(self) -> None:
        """Refuse numbers for which no accountant gives a bound."""
        if not 0 < self.rate <= 1:
            raise UsageError("accounting", "the sampling rate must be above 0 and at most 1", self.rate, "Change it")
        if not 0 < self.noise_multiplier < math.inf:
            remedy = "Choose for example 1"
            raise UsageError("accounting", "the noise multiplier must be above 0", self.noise_multiplier, remedy)
        if self.num_updates < 0:
            raise UsageError("accounting", "the number of updates must be at least 0", self.num_updates, "Change it")


def epsilon(phases: Sequence[Phase], delta: float, accountant: Accountant = "pld") -> float:
    """Return an upper bound of epsilon at a delta in (0, 1), of all phases together.

    Example:
        >>> round(epsilon([Phase(0.1, 2.0, 240)], 1e-4), 3)
        3.172
    """
    merged = _merged(phases)
    if not merged:
        return 0.0
    if accountant == "rdp":
        return float(_rdp(merged).get_epsilon(delta))
    return float(_pld(merged).get_epsilon_for_delta(delta))


def replacement_epsilon(phases: Sequence[Phase], delta: float) -> float:
    """Return an upper bound of epsilon, by PLD, for data that differ in one unit which is replaced by another.

    It is the number to compare with claims of batches of a fixed size, whose neighbouring data differ so.

    Example:
        >>> round(replacement_epsilon([Phase(0.1, 2.0, 240)], 1e-4), 3)
        6.408
    """
    merged = _merged(phases)
    return float(_pld(merged, replaced=True).get_epsilon_for_delta(delta)) if merged else 0.0


def delta(phases: Sequence[Phase], eps: float, accountant: Accountant = "pld", direction: Direction = "both") -> float:
    """Return an upper bound of delta at an epsilon of at least 0.

    Args:
        phases: The phases.
        eps: Epsilon.
        accountant: The accountant.
        direction: Whether one unit is removed or added; ``both`` for the larger of the two. RDP knows only ``both``.
    """
    merged = _merged(phases)
    if not merged:
        return 0.0
    if accountant == "rdp":
        return float(_rdp(merged).get_delta(eps))
    distribution = _pld(merged)
    if direction == "both":
        return float(distribution.get_delta_for_epsilon(eps))
    # dp-accounting has no public name for one direction of a loss distribution.
    return float(getattr(distribution, f"_pmf_{direction}").get_delta_for_epsilon(eps))


def noise_multiplier_for(rate: float, num_updates: int, eps: float, at_delta: float) -> float:
    """Return the smallest noise multiplier, to a relative 1e-4, that keeps (eps, at_delta) over some updates."""
    from scipy.optimize import brentq

    def excess(log_noise: float) -> float:
        return epsilon([Phase(rate, math.exp(log_noise), num_updates)], at_delta) - eps

    low, high = math.log(0.5), math.log(2.0)
    while excess(low) < 0:
        low -= 1
    while excess(high) > 0:
        high += 1
    return math.exp(float(brentq(excess, low, high, xtol=1e-4)))


def event(phases: Sequence[Phase]) -> DpEvent:
    """Return phases as dp-accounting describes them."""
    from dp_accounting import ComposedDpEvent, GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent

    return ComposedDpEvent(
        [
            SelfComposedDpEvent(PoissonSampledDpEvent(p.rate, GaussianDpEvent(p.noise_multiplier)), p.num_updates)
            for p in phases
        ]
    )


def _merged(phases: Sequence[Phase]) -> tuple[Phase, ...]:
    """Add up the updates of phases with the same rate and noise, and leave out those without updates."""
    counts: dict[tuple[float, float], int] = {}
    for phase in phases:
        key = phase.rate, phase.noise_multiplier
        counts[key] = counts.get(key, 0) + phase.num_updates
    return tuple(Phase(rate, noise, num) for (rate, noise), num in sorted(counts.items()) if num)


def _rdp(phases: tuple[Phase, ...]) -> Any:
    from dp_accounting import rdp

    return rdp.RdpAccountant().compose(event(phases))


@functools.lru_cache(maxsize=256)
def _pld(phases: tuple[Phase, ...], replaced: bool = False) -> Any:
    from dp_accounting import NeighboringRelation
    from dp_accounting.pld import privacy_loss_distribution as distributions

    num_updates = sum(phase.num_updates for phase in phases)
    interval = min(_COARSEST, _FINEST * max(1.0, num_updates / _STEPS_AT_FINEST))
    relation = NeighboringRelation.REPLACE_ONE if replaced else NeighboringRelation.ADD_OR_REMOVE_ONE
    found = None
    for phase in phases:
        one = distributions.from_gaussian_mechanism(
            phase.noise_multiplier,
            sampling_prob=phase.rate,
            value_discretization_interval=interval,
            neighboring_relation=relation,
        )
        composed = one.self_compose(phase.num_updates)
        found = composed if found is None else found.compose(composed)
    return found
