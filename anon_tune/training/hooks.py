"""The interfaces by which a method adds to the game or replaces it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from torch import nn

from anon_tune.networks import Anonymizer, UtilityNetwork
from anon_tune.training.terms import Term
from anon_tune.trial import LossPoint

if TYPE_CHECKING:
    from anon_tune.training.trainer import Trainer


@dataclass(frozen=True, slots=True)
class Head:
    """A network of a method that learns with a player of the game; loss terms find it in `Move.head`.

    Attributes:
        player: The player whose optimizer trains it. With ``anonymizer`` it learns in move 1 and is frozen in move 2,
            and with ``utility`` the other way round.
        build: Builds it under the recipe's seed from f_T, the number K of actions and the number A of attributes.
    """

    player: Literal["anonymizer", "utility"]
    build: Callable[[UtilityNetwork, int, int], nn.Module]


NO_HEAD = Head("utility", lambda utility, num_actions, num_attributes: nn.Module())
"""A head without weights."""


@dataclass(frozen=True, slots=True)
class GameHooks:
    """What a method adds to the game; the default adds nothing.

    Attributes:
        anonymizer_terms: Loss terms that are added to the loss of f_A in move 1.
        utility_terms: Loss terms that are added to the loss of f_T in move 2.
        modules: Networks and other state of the method, by name. They are kept in the checkpoint. The trainer moves
            them to its device but does not train them.
        head: A network of the method that learns with a player; it is kept in the checkpoint too.
        before_game: Called once, after f_A has learned to imitate the start and before the branches warm up.
        after_step: Called after every step, once `Trainer.step` is increased.
    """

    anonymizer_terms: tuple[Term, ...] = ()
    utility_terms: tuple[Term, ...] = ()
    modules: Mapping[str, nn.Module] = field(default_factory=dict)
    head: Head = NO_HEAD
    before_game: Callable[[Trainer], None] | None = None
    after_step: Callable[[Trainer], None] | None = None


class TrialTrainer(Protocol):
    """Trains the anonymizer of a trial: `Trainer`, or a method's own trainer if the game does not train the method.

    It is made with the arguments of `Trainer` without ``hooks`` and ``start``. Training that was saved and loaded must
    go on bit-identically on CPU. Every random number must therefore depend only on the recipe's seed and the step.

    Attributes:
        anonymizer: The anonymizer f_A.
        step: Number of steps done so far.
    """

    anonymizer: Anonymizer
    step: int

    def train_until(self, step: int) -> list[LossPoint]:
        """Train until a step is reached, and return the losses of every step done.

        Raises:
            DivergedError: A loss is NaN or infinite.
        """
        ...

    def save(self, path: Path) -> None:
        """Write everything that the next step depends on."""
        ...

    def load(self, path: Path) -> None:
        """Go on from what `save` wrote for the same recipe."""
        ...
