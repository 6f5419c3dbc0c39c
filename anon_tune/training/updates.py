"""Updates of the players of a game: backward passes over the parts of a batch, and one optimizer step.

Losses are read from the device only every few steps, because reading waits until the device has computed them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn, optim

from anon_tune.errors import DivergedError
from anon_tune.recipe import TrainingRecipe
from anon_tune.training.buckets import GradientBuckets
from anon_tune.training.collective import Collective

Losses = tuple[str, Tensor, Mapping[str, Tensor]]
"""A player, the total loss that it minimizes, and the terms to be shown."""


@dataclass(slots=True, eq=False)
class Shown:
    """The terms of one update, averaged over the workers.

    Attributes:
        step: The step of the update.
        names: Names of the terms.
        values: Their values, on the device.
        read: Their values, once they have been read.
    """

    step: int
    names: tuple[str, ...]
    values: Tensor
    read: dict[str, float] | None = None


class Updates:
    """Takes the optimizer steps of all players, and reads their losses.

    Args:
        optimizers: The optimizers of the players, by name.
        recipe: Parts of a batch, clipping, size of buckets, and how often losses are read.
        collective: The workers of the trial.
    """

    def __init__(
        self,
        optimizers: Mapping[str, optim.Optimizer],
        recipe: TrainingRecipe,
        collective: Collective,
    ) -> None:
        self._optimizers, self._recipe, self._collective = optimizers, recipe, collective
        self._unread: list[Shown] = []
        in_buckets = recipe.bucket_mb > 0 and collective.size > 1
        self._buckets = {
            name: GradientBuckets(weights_of(optimizer), collective.size, recipe.bucket_mb * 2**20)
            for name, optimizer in (optimizers if in_buckets else {}).items()
        }

    def take(self, step: int, parts: Callable[[int], Iterator[Losses]]) -> dict[str, Shown]:
        """Take one optimizer step of each player on the mean loss over the parts of a batch.

        Args:
            step: The step of the game.
            parts: Yields the losses of every player on a part of the batch, by the number of the part.

        Returns:
            The terms of each player.

        Raises:
            DivergedError: A loss is NaN or infinite, if losses are read in every step.
        """
        num_parts = self._recipe.accumulate
        terms: dict[str, dict[str, Tensor]] = {}
        for part in range(num_parts):
            for player, total, shown in parts(part):
                if part == 0:
                    self._optimizers[player].zero_grad(set_to_none=True)
                if part == num_parts - 1 and player in self._buckets:
                    self._buckets[player].open()
                (total / num_parts if num_parts > 1 else total).backward()
                stacked = {name: value.detach() for name, value in shown.items()}
                before = terms.get(player)
                terms[player] = stacked if before is None else {n: before[n] + value for n, value in stacked.items()}
        return {player: self._step(step, player, own, num_parts) for player, own in terms.items()}

    def read(self) -> None:
        """Read all losses that have not been read.

        Raises:
            DivergedError: A loss is NaN or infinite.
        """
        if not self._unread:
            return
        flat = torch.cat([shown.values for shown in self._unread]).tolist()
        for shown in self._unread:
            values, flat = flat[: len(shown.names)], flat[len(shown.names) :]
            shown.read = dict(zip(shown.names, values, strict=True))
        unread, self._unread = self._unread, []
        for shown in unread:
            for name, value in (shown.read or {}).items():
                if not math.isfinite(value):
                    rule = f"the {name} loss must be finite"
                    raise DivergedError(f"step {shown.step}", rule, value, "Lower a weight or learning rate")

    def _step(self, step: int, player: str, terms: Mapping[str, Tensor], num_parts: int) -> Shown:
        optimizer = self._optimizers[player]
        stacked = torch.stack(list(terms.values()))
        mean = self._collective.mean(stacked / num_parts if num_parts > 1 else stacked)
        shown = Shown(step, tuple(terms), mean)
        self._unread.append(shown)
        if self._recipe.log_every == 1:
            self.read()
        weights = weights_of(optimizer)
        if player in self._buckets:
            self._buckets[player].close()
        else:
            self._collective.average_gradients(weights)
        if self._recipe.clip_norm:
            nn.utils.clip_grad_norm_(weights, self._recipe.clip_norm)
        optimizer.step()
        return shown


def weights_of(optimizer: optim.Optimizer) -> list[nn.Parameter]:
    """Return all weights that an optimizer trains."""
    return [weight for group in optimizer.param_groups for weight in group["params"]]
