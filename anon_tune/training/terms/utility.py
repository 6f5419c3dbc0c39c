"""The loss term that keeps the action recognizable."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from anon_tune.training.terms.term import Move, Term


def utility(move: Move) -> Tensor:
    """Return L_T, the cross-entropy of the utility network on the anonymized clips."""
    return F.cross_entropy(move.utility(move.changed), move.batch.actions)


UTILITY = Term("utility", utility, lambda recipe: recipe.utility.weight)
