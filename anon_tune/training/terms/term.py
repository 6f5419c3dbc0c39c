"""The interface of a loss term of the game, and the move that it is computed from.

Shapes: B clips, T frames per clip, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add
from typing import NamedTuple

from torch import Tensor, nn

from anon_tune.clips import ClipBatch
from anon_tune.networks import Anonymizer, UtilityNetwork
from anon_tune.recipe import Recipe
from anon_tune.schedule import Schedule
from anon_tune.training.branches import PrivacyBranches, Seen


@dataclass(frozen=True)
class Move:
    """One move of the game: everything that a loss term can be computed from.

    Attributes:
        recipe: The recipe of the trial.
        step: Number of steps played so far.
        batch: The raw clips (B,T,C,H,W) in [0, 1] with their labels.
        changed: The anonymized clips (B,T,C,H,W) in [0, 1]. They have a gradient to f_A in move 1 only.
        look: Makes `seen` when a term first asks for it. The time matters: autograd adds gradients in an order that
            follows the order of computation, and another order rounds differently.
        anonymizer: The anonymizer f_A.
        utility: The utility network f_T.
        privacy: The privacy branches f_B.
        head: The network that the method adds to the game; without weights if it adds none.
    """

    recipe: Recipe
    step: int
    batch: ClipBatch
    changed: Tensor
    look: Callable[[], Seen]
    anonymizer: Anonymizer
    utility: UtilityNetwork
    privacy: PrivacyBranches
    head: nn.Module

    @cached_property
    def seen(self) -> Seen:
        """What the privacy branches see of the batch."""
        return self.look()

    def now(self, schedule: Schedule) -> float:
        """Return the value of a schedule at this step."""
        return schedule.at(self.step, self.recipe.training.num_steps)


class Value(NamedTuple):
    """The value of a term whose loss curve shows another number than its loss.

    Attributes:
        loss: Scalar that is weighted and minimized.
        shown: Scalar that the loss curve shows.
    """

    loss: Tensor
    shown: Tensor


@dataclass(frozen=True, slots=True)
class Term:
    """A named term of the loss of one move.

    Ledger, TensorBoard and report page show the term under its name, without being told about it.

    Attributes:
        name: A name that is unique among the terms of a game.
        value: Computes the term from a move.
        weight: Returns the schedule of the recipe that is the term's weight; None for a quantity that is only shown.
    """

    name: str
    value: Callable[[Move], Tensor | Value]
    weight: Callable[[Recipe], Schedule] | None = None


def weigh(terms: Sequence[Term], move: Move) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the weighted sum of terms, a scalar to be minimized, and the value of each term to be shown, by name.

    Args:
        terms: The terms, at least one with a weight, added in this order.
        move: The move from which they are computed.
    """
    weighted: list[Tensor] = []
    shown: dict[str, Tensor] = {}
    for term in terms:
        value = term.value(move)
        loss, shown[term.name] = value if isinstance(value, Value) else (value, value)
        if term.weight is not None:
            weighted.append(move.now(term.weight(move.recipe)) * loss)
    return reduce(add, weighted), shown
