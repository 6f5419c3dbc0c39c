"""What a method may add to the game."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torch import nn

from anon_tune.training.terms import Term

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
