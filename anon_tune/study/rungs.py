"""Who goes on at a rung when there are several objectives. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from anon_tune.pareto import coverage, front_ranks


def rung_levels(min_steps: int, factor: int, num_steps: int) -> tuple[int, ...]:
    """Return the steps at which trials are measured: ``min_steps * factor**k`` below the last, and the last.

    Integers only: the logarithm that is usual here loses a rung to rounding, for instance with
    factor 3 up to step 243.

    Args:
        min_steps: Step of the first rung, at least 1.
        factor: At least 2.
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


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rung decided.

    Attributes:
        keep: The trial goes on.
        position: Its place in the order of the rung, counted from 0; -1 if its losses are not finite.
        num_trials: How many trials were compared.
        front_rank: Its nondominated layer at the rung; -1 if its losses are not finite.
    """

    keep: bool
    position: int
    num_trials: int
    front_rank: int

    def reason(self, rung: int, step: int) -> str:
        """Say why the trial was stopped."""
        if self.position < 0:
            return f"rung {rung} (step {step}): a loss is not finite"
        return f"rung {rung} (step {step}): position {self.position + 1} of {self.num_trials}, layer {self.front_rank}"


def decide(losses: Mapping[str, tuple[float, ...]], trial: str, factor: int) -> Verdict:
    """Decide whether a trial goes on.

    Trials are ordered by nondominated layer, inside a layer by how much of it they alone cover
    (most first), then by id. The first ``ceil(n / factor)`` go on. A trial that no other
    dominates always goes on. While a rung is small its scores' noise decides who dominates whom, so nothing
    is decided before ``2 * factor`` trials are there, and before ``8 * factor`` the second layer goes on too.

    Args:
        losses: Of every trial measured at this rung so far, all minimized, by trial id.
        trial: The one to decide about, among them.
        factor: At least 2.

    Source:
        Schmucker et al. 2021 (arXiv:2106.12639), stopping variant, with the exclusive hypervolume
        in place of their epsilon-net and with the front protected.

    Example:
        >>> decide({"a": (0.1, 0.1), "b": (0.2, 0.2), "c": (0.3, 0.3), "d": (0.4, 0.4)}, "c", 2).keep
        False
    """
    ids = sorted(name for name, row in losses.items() if all(map(math.isfinite, row)))
    if trial not in ids:
        return Verdict(keep=False, position=-1, num_trials=len(ids), front_rank=-1)
    rows = np.array([losses[name] for name in ids], dtype=float)
    layers = front_ranks(rows)
    covered = np.zeros(len(ids))
    for layer in np.unique(layers):
        inside = layers == layer
        covered[inside] = coverage(rows[inside])
    order = sorted(range(len(ids)), key=lambda i: (layers[i], -covered[i], ids[i]))
    position = [ids[i] for i in order].index(trial)
    front_rank = int(layers[ids.index(trial)])
    num_spared = 2 if len(ids) < 8 * factor else 1
    keep = len(ids) < 2 * factor or front_rank < num_spared or position < math.ceil(len(ids) / factor)
    return Verdict(keep, position, len(ids), front_rank)
