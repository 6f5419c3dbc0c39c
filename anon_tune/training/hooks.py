"""What a method may add to the game."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from torch import nn

from anon_tune.networks import Anonymizer
from anon_tune.training.terms import Term
from anon_tune.trial import LossPoint

if TYPE_CHECKING:
    from anon_tune.training.trainer import Trainer


@dataclass(frozen=True, slots=True)
class GameHooks:
    """What a method adds to the game; the default adds nothing.

    Attributes:
        anonymizer_terms: Added to the loss of move 1, over f_A.
        utility_terms: Added to the loss of f_T in move 2.
        modules: Networks and other state of the method by name, kept in the checkpoint. The trainer moves them to
            its device and does not train them.
        before_game: Called once, after f_A has learned the identity and before the branches warm up.
        after_step: Called after every step, when `Trainer.step` has been raised.
    """

    anonymizer_terms: tuple[Term, ...] = ()
    utility_terms: tuple[Term, ...] = ()
    modules: Mapping[str, nn.Module] = field(default_factory=dict)
    before_game: Callable[[Trainer], None] | None = None
    after_step: Callable[[Trainer], None] | None = None


class TrialTrainer(Protocol):
    """Trains the anonymizer of a trial: `Trainer`, or the own trainer of a method that is not trained by the game.

    It is made from what `Trainer` takes. A run that was saved and loaded must go on bit-identically on CPU, so
    every draw is a pure function of the recipe's seed and the step.

    Attributes:
        anonymizer: f_A.
        step: Steps done so far.
    """

    anonymizer: Anonymizer
    step: int

    def train_until(self, step: int) -> list[LossPoint]:
        """Train until a step is reached; return the losses of every step done.

        Raises:
            DivergedError: A loss is NaN or infinite.
        """
        ...

    def save(self, path: Path) -> None:
        """Write all that the next step depends on."""
        ...

    def load(self, path: Path) -> None:
        """Go on from what `save` wrote for the same recipe."""
        ...
