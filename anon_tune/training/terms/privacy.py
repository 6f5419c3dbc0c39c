"""The loss term that makes the anonymizer hide private attributes."""

from __future__ import annotations

from anon_tune.training.terms.term import Move, Term, Value


def privacy(move: Move) -> Value:
    """Return the adversary term of the strongest privacy branch. The loss curves show L_B of that branch."""
    return Value(*move.privacy.drive(move.seen, move.private))


PRIVACY = Term("privacy", privacy, lambda recipe: recipe.privacy.weight)
