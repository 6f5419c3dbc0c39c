"""The loss term that keeps the distortion below a threshold, and the distortion itself, which is only shown."""

from __future__ import annotations

import torch
from torch import Tensor

from anon_tune.training import losses
from anon_tune.training.terms.term import Move, Term


def penalty(move: Move) -> Tensor:
    """Return L_penalty on pixels or on features of the utility network, as the recipe says."""
    recipe = move.recipe.penalty
    raw, changed = move.batch.clips, move.changed
    if recipe.on == "features":
        with torch.no_grad():
            raw = move.utility.features(raw)
        changed = move.utility.features(changed)
    excess = losses.penalty(raw, changed, move.now(recipe.threshold))
    return excess.detach() if recipe.detached else excess


def distortion(move: Move) -> Tensor:
    """Return the mean distortion of the clips, on pixels."""
    return losses.distortion(move.batch.clips, move.changed).mean()


PENALTY = Term("penalty", penalty, lambda recipe: recipe.penalty.weight)
DISTORTION = Term("distortion", distortion)
