"""The loss term that keeps the utility task possible."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from anon_tune.training.anomaly import ranking_loss, segment_logits
from anon_tune.training.terms.term import Move, Term
from anon_tune.utility_task import ANOMALY


def utility(move: Move) -> Tensor:
    """Return L_T on the anonymized clips: cross-entropy of actions, or the ranking loss of anomalies."""
    recipe = move.recipe.utility
    if recipe.task == ANOMALY.name:
        return ranking_loss(segment_logits(move.utility, move.changed, recipe.segments), move.batch.actions)
    return F.cross_entropy(move.utility(move.changed), move.batch.actions)


UTILITY = Term("utility", utility, lambda recipe: recipe.utility.weight)
