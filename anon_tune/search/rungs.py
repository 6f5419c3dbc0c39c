"""Decides which trials go on at a rung when there are two objectives. Nothing here reads files or uses Ray."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from anon_tune.search.pareto_layers import ParetoLayers

_TINY = 1e-300  # avoids a division by zero


def rung_levels(min_steps: int, factor: int, num_steps: int) -> tuple[int, ...]:
    """Return the steps at which a trial is measured: ``min_steps * factor**k`` below the last step, and the last step.

    This counts in whole numbers. The usual formula with a logarithm loses a rung to rounding, for example the one at
    step 81 with factor 3 and 243 steps.

    Args:
        min_steps: Step of the first rung, at least 1.
        factor: Ratio between the steps of two rungs, at least 2.
        num_steps: Step of the full score, at least 1.

    Example:
        >>> rung_levels(1, 3, 243)
        (1, 3, 9, 27, 81, 243)
        >>> rung_levels(60, 3, 40)
        (40,)
    """
    levels = []
    step = min_steps
    while step < num_steps:
        levels.append(step)
        step *= factor
    return (*levels, num_steps)


def deal_bracket(seed: int, number: int, num_brackets: int, factor: int) -> int:
    """Return the bracket of a trial. Bracket b is drawn with a probability proportional to ``factor**-b``.

    Args:
        seed: Seed of the study. The same seed and number always give the same bracket.
        number: Number of the trial.
        num_brackets: At least 1.
        factor: Ratio between the steps of two rungs, at least 2.
    """
    if num_brackets == 1:
        return 0
    shares = np.array([factor**-b for b in range(num_brackets)], dtype=float)
    drawn = np.random.default_rng([seed, number, num_brackets]).random()
    return int(np.searchsorted(np.cumsum(shares / shares.sum()), drawn, side="right"))


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a rung judges a trial.

    Attributes:
        keep: True if the trial goes on.
        position: Place of the trial in the order of the rung, counted from 0; -1 if its losses are not finite.
        num_trials: How many trials were compared.
        front_rank: Front rank of the trial at the rung; -1 if its losses are not finite or it breaks a constraint.
        violation: By how much it breaks the constraints; 0 if it keeps them.
    """

    keep: bool
    position: int
    num_trials: int
    front_rank: int
    violation: float = 0.0

    def reason(self, rung: int, step: int) -> str:
        """Say why the trial was stopped."""
        at = f"rung {rung} (step {step})"
        if self.position < 0:
            return f"{at}: a loss is not finite"
        why = f"front rank {self.front_rank}" if self.violation == 0 else f"constraints missed by {self.violation:.3g}"
        return f"{at}: position {self.position + 1} of {self.num_trials}, {why}"


class Rung:
    """The trials measured at one rung, in order.

    Feasible trials come first. They are ordered by front rank, within a front rank by the hypervolume that only they
    cover (most first), then by id. The other trials follow, ordered by how much they break the constraints, then by id
    (Deb's rule).

    With stopping, the first ``ceil(n / factor)`` of n trials go on. With promoting, the first ``floor(n / factor)`` do,
    one after the other. In both cases a feasible trial that no other trial dominates goes on. With few trials, noise in
    the scores decides which trial dominates which. So nothing is decided before ``2 * factor`` trials have arrived, and
    before ``4 * factor`` the second front rank goes on too.

    The order depends on which trials were added, not on when. Front ranks do not change if a loss is mapped by an
    increasing function. The whole order does not change if the function is linear.

    Args:
        factor: About one trial in this many goes on; at least 2.

    Source:
        Schmucker et al. 2021 (arXiv:2106.12639). We order a front rank by exclusive hypervolume, not by their
        epsilon-net, and never stop a trial of the first front rank. Constraints follow Deb et al. 2002.

    Example:
        >>> rung = Rung(2)
        >>> for k, name in enumerate("abcd"):
        ...     rung.add(name, (k / 10, k / 10))
        >>> rung.verdict("c").keep
        False
    """

    def __init__(self, factor: int) -> None:
        self._factor = factor
        self._layers = ParetoLayers()
        self._infeasible: list[tuple[float, str]] = []
        self._violations: dict[str, float] = {}
        self._broken: set[str] = set()  # trials with a loss that is not finite
        self._promoted: set[str] = set()

    def __contains__(self, trial_id: str) -> bool:
        """True if the trial was measured here."""
        return trial_id in self._layers.losses or trial_id in self._violations or trial_id in self._broken

    @property
    def num_trials(self) -> int:
        """Number of trials whose losses are finite."""
        return len(self._layers) + len(self._infeasible)

    @property
    def decides(self) -> bool:
        """True if enough trials have arrived to decide."""
        return self.num_trials >= 2 * self._factor

    def add(self, trial_id: str, losses: tuple[float, float], violation: float = 0.0) -> None:
        """Take a trial in; one that is there already stays as it is.

        Args:
            trial_id: Its id.
            losses: Both minimized.
            violation: By how much it breaks the constraints; 0 if it keeps them.
        """
        if trial_id in self:
            return
        if not all(map(math.isfinite, losses)):
            self._broken.add(trial_id)
        elif violation > 0:
            insort(self._infeasible, (violation, trial_id))
            self._violations[trial_id] = violation
        else:
            self._layers.add(trial_id, losses)

    def verdict(self, trial_id: str) -> Verdict:
        """Say whether a trial that was added goes on, if it is judged now and once."""
        if trial_id in self._broken:
            return Verdict(keep=False, position=-1, num_trials=self.num_trials, front_rank=-1)
        count = self.num_trials
        kept = math.ceil(count / self._factor)
        if trial_id in self._violations:
            violation = self._violations[trial_id]
            position = len(self._layers) + bisect_left(self._infeasible, (violation, trial_id))
            return Verdict(not self.decides or position < kept, position, count, -1, violation)
        layer = self._layers.layer_of(self._layers.losses[trial_id])
        start = next(start for index, start in enumerate(self._layers.starts()) if index == layer)
        position = start + self._ordered(layer).index(trial_id)
        keep = not self.decides or layer < self._num_spared or position < kept
        return Verdict(keep, position, count, layer)

    def promotable(self, everyone: bool = False) -> str | None:
        """Return the id of the best trial that may go on and has not gone on yet, or None.

        Args:
            everyone: Let every trial go on. Used when too few trials arrived to decide and no more will come.
        """
        if everyone:
            count = self.num_trials
        elif self.decides:
            count = self.num_trials // self._factor
        else:
            return None
        return next((trial_id for trial_id in self._first(count) if trial_id not in self._promoted), None)

    def best(self, count: int) -> list[str]:
        """Return the first `count` trials of the order that have not been promoted."""
        return list(islice(self._first(count), count))

    def promote(self, trial_id: str) -> None:
        """Note that a trial has gone on."""
        self._promoted.add(trial_id)

    @property
    def _num_spared(self) -> int:
        return 2 if self.num_trials < 4 * self._factor else 1

    def _first(self, count: int) -> Iterator[str]:
        """Yield the first `count` trials of the order, and all trials of the spared front ranks.

        A front rank in which all trials have been promoted is skipped.
        """
        for layer, start in enumerate(self._layers.starts()):
            if self._promoted.issuperset(self._layers.names(layer)):
                continue
            if layer < self._num_spared:
                yield from self._ordered(layer)
            elif start < count:
                yield from self._ordered(layer)[: count - start]
            else:
                return
        yield from (trial_id for _, trial_id in self._infeasible[: max(0, count - len(self._layers))])

    def _ordered(self, layer: int) -> list[str]:
        covered = self._layers.coverage(layer)
        # Values that differ only by rounding count as equal, and then the ids decide.
        order = -np.round(covered / max(covered.max(), _TINY), 12)
        return [name for _, name in sorted(zip(order.tolist(), self._layers.names(layer), strict=True))]
