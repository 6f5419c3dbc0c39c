"""When the training of an attacker or a classifier ends, and which weights are kept.

There are two rules. A fixed number of steps is the same for every trial of a study. A plateau lets every attacker train
until it stops improving, so that none looks weak because it was stopped early.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn, optim

from anon_tune.attackers import Fit

Look = Callable[[nn.Module], float]
"""Returns the value of a network on the validation split: cMAP or top-1."""

MIN_RISE = 0.005
"""A validation curve counts as rising if it gains more than this; a smaller gain is noise."""

_WARMUP_STEPS = 20
_MEMORY = 0.95


class Course(Protocol):
    """One training under a stop rule."""

    optimizer: optim.Optimizer

    def before(self, step: int) -> None:
        """Prepare for a step, counted from 1."""
        ...

    def after(self, step: int) -> bool:
        """Record that a step is done; return False to end the training."""
        ...

    def end(self) -> Fit:
        """Load the weights that are kept into the network, and return how the training ended."""
        ...


class StopRule(Protocol):
    """When a training ends."""

    def begin(self, network: nn.Module, lr: float, look: Look) -> Course:
        """Begin a training of a network, at a learning rate."""
        ...


@dataclass(frozen=True, slots=True)
class FixedSteps:
    """A fixed number of optimizer steps for any size of the split. The last weights are kept, so nothing is selected.

    Adam with one cycle of the learning rate, ending near 0.
    """

    num_steps: int

    def begin(self, network: nn.Module, lr: float, look: Look) -> Course:
        """Begin a training; it never looks at the validation split."""
        return _Cycle(network, lr, self.num_steps)


@dataclass(frozen=True, slots=True)
class Plateau:
    """Train until the value on the validation split has stopped rising, or the steps run out.

    The learning rate warms up and then stays constant. It cannot be annealed, because the last step is not known in
    advance. A running mean of the weights takes the place of annealing; this mean is evaluated and kept. The best look
    is the one with the largest value, and the last of equals. Training ends when ``patience`` looks in a row have not
    raised the curve by more than `MIN_RISE`.

    Attributes:
        max_steps: Most optimizer steps, if no plateau is reached.
        check_steps: Optimizer steps between two looks at the validation split.
        patience: Number of looks in a row without a rise that count as a plateau.

    Source:
        Polyak and Juditsky, SIAM J. Control Optim. 30 (1992): averaged weights; ours forget exponentially.
    """

    max_steps: int
    check_steps: int
    patience: int

    def begin(self, network: nn.Module, lr: float, look: Look) -> Course:
        """Begin a training."""
        return _Average(network, lr, look, self)


class _Cycle:
    def __init__(self, network: nn.Module, lr: float, num_steps: int) -> None:
        self.optimizer: optim.Optimizer = optim.Adam(network.parameters(), lr=lr)
        self._cycle = optim.lr_scheduler.OneCycleLR(self.optimizer, max_lr=lr, total_steps=num_steps, pct_start=0.3)
        self._num_steps = num_steps

    def before(self, step: int) -> None:
        pass

    def after(self, step: int) -> bool:
        self._cycle.step()
        return step < self._num_steps

    def end(self) -> Fit:
        return Fit(step=self._num_steps, plateau=False)


class _Average:
    def __init__(self, network: nn.Module, lr: float, look: Look, rule: Plateau) -> None:
        self._network, self._lr, self._look, self._rule = network, lr, look, rule
        self._average = copy.deepcopy(network)
        weights = zip(self._average.parameters(), network.parameters(), strict=True)
        statistics = zip(self._average.buffers(), network.buffers(), strict=True)
        self._pairs = [(mean, now) for mean, now in (*weights, *statistics) if mean.is_floating_point()]
        self.optimizer: optim.Optimizer = optim.Adam(network.parameters(), lr=lr, fused=True)
        self._curve: list[tuple[int, float]] = []
        self._best: tuple[float, int, dict[str, Tensor]] | None = None
        self._level, self._waited = -1.0, 0

    def before(self, step: int) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self._lr * min(1.0, step / _WARMUP_STEPS)

    def after(self, step: int) -> bool:
        self._follow(step)
        if step % self._rule.check_steps == 0 or step == self._rule.max_steps:
            self._check(step)
        return step < self._rule.max_steps and self._waited < self._rule.patience

    def end(self) -> Fit:
        assert self._best is not None
        _, step, weights = self._best
        self._network.load_state_dict(weights)
        return Fit(step, self._waited >= self._rule.patience, tuple(self._curve))

    @torch.no_grad()
    def _follow(self, step: int) -> None:
        """Move the running means towards the weights; early on faster, because the first weights are poor."""
        share = max(1 - _MEMORY, 9 / (9 + step))
        for mean, now in self._pairs:
            mean.lerp_(now, share)

    def _check(self, step: int) -> None:
        value = self._look(self._average)
        self._curve.append((step, value))
        if self._best is None or value >= self._best[0]:
            weights = {k: v.detach().cpu().clone() for k, v in self._average.state_dict().items()}
            self._best = value, step, weights
        risen = value > self._level + MIN_RISE
        self._level, self._waited = (value, 0) if risen else (self._level, self._waited + 1)
