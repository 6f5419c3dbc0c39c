"""The term that hides who the person is."""

from __future__ import annotations

from anon_tune.training.terms.term import Move, Term, Value


def privacy(move: Move) -> Value:
    """Return the adversary term of the branch that tells most; L_B of that branch is shown."""
    return Value(*move.privacy.drive(move.seen, move.private))


PRIVACY = Term("privacy", privacy, lambda recipe: recipe.privacy.weight)
