"""The loss terms of the game. Each is defined in a file of this folder and listed in `GAME_TERMS`."""

from anon_tune.training.terms.penalty import DISTORTION, PENALTY
from anon_tune.training.terms.privacy import PRIVACY
from anon_tune.training.terms.term import Move, Term, Value, weigh
from anon_tune.training.terms.utility import UTILITY

GAME_TERMS = (UTILITY, PRIVACY, PENALTY, DISTORTION)
"""The terms of move 1 in the order in which they are added."""

__all__ = ["GAME_TERMS", "UTILITY", "Move", "Term", "Value", "weigh"]
