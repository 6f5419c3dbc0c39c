"""The loss term that makes the anonymizer hide private attributes."""

from __future__ import annotations

from anon_tune.training.terms.term import Move, Term, Value


def privacy(move: Move) -> Value:
    """Return the adversary term of the privacy branches. The loss curves show the L_B that belongs to it."""
    return Value(*move.privacy.drive(move.seen))


PRIVACY = Term("privacy", privacy, lambda recipe: recipe.privacy.weight)
