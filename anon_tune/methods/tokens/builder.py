"""Builds the anonymizer that drops tubelets, its loss terms, and what the attack on the mask gets.

Shapes: B clips, T frames per clip, C = 3 channels, H height, W width, D width of a token, S slices of a clip, h x w
tubelets of a slice.

Source:
    STPrivacy (arXiv:2301.03046) for the predictor, the gates and the ratio loss, and From Pixels to Privacy
    (arXiv:2603.26336) for the utility and the privacy token. We differ:

    * The output are frames, in which kept tubelets are copied. In the first paper they are drawn anew from tokens, and
      in the second the tokens themselves go to a classifier.
    * The quota decides in training as in use, and there is no random number in it, so that what is certified is what a
      video gets. STPrivacy trains with Gumbel noise.
    * The score of the second paper is not published. Ours is the attention of the utility token less a multiple of
      that of the privacy token, which can be searched.
    * Both tokens learn by heads of their own in move 1, while the adversary of the game attacks the output.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anon_tune.attackers import AttackerInputs
from anon_tune.methods.tokens import TokensRecipe
from anon_tune.methods.tokens.network import TokenDropper
from anon_tune.methods.tokens.selection import ratio_loss
from anon_tune.networks import Anonymizer, UtilityNetwork
from anon_tune.recipe import Recipe
from anon_tune.schedule import Schedule
from anon_tune.training import GameHooks, Head, Move, Term, Trainer, Value


def build(recipe: Recipe) -> Anonymizer:
    """Return the anonymizer with fresh weights."""
    return TokenDropper(_section(recipe))


def hooks(recipe: Recipe) -> GameHooks:
    """Add the losses of the two tokens, or the ratio loss of the predictor."""
    section = _section(recipe)
    if section.score == "predictor":
        weight = Schedule(start=section.ratio_weight)
        ratio = Term("ratio", partial(_ratio, section=section), lambda recipe: weight)
        return GameHooks((ratio,), before_game=_note_size)
    token_weight = Schedule(start=section.token_weight)
    tokens = Term("tokens", _tokens, lambda recipe: token_weight)
    return GameHooks((tokens,), head=Head("anonymizer", partial(_heads, section)), before_game=_note_size)


def attacker_inputs(recipe: Recipe) -> AttackerInputs:
    """Return the function that gives attackers the mask of clips, (B,S,h,w)."""

    def inputs(anonymizer: Anonymizer, clips: Tensor) -> Mapping[str, Tensor]:
        assert isinstance(anonymizer, TokenDropper)
        return {"mask": anonymizer.select(clips).kept}

    return inputs


class TokenHeads(nn.Module):
    """Reads the action from the utility token, and the private attributes from the privacy token."""

    def __init__(self, width: int, num_actions: int, num_attributes: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.action, self.private = nn.Linear(width, num_actions), nn.Linear(width, num_attributes)

    def forward(self, classes: Tensor) -> tuple[Tensor, Tensor]:
        """Map tokens (B,2,D) to logits (B,K) and (B,A)."""
        utility, privacy = self.norm(classes).unbind(dim=1)
        return self.action(utility), self.private(privacy)


def _heads(section: TokensRecipe, utility: UtilityNetwork, num_actions: int, num_attributes: int) -> nn.Module:
    return TokenHeads(section.width, num_actions, num_attributes)


def _tokens(move: Move) -> Value:
    """Return the cross-entropy of the action by the utility token, and that of the attributes by the privacy token.

    Both are minimized, so that each token attends to what it needs.
    """
    assert isinstance(move.anonymizer, TokenDropper)
    action, private = move.head(move.anonymizer.select(move.batch.clips).classes)
    loss = F.cross_entropy(action, move.batch.actions)
    loss = loss + F.binary_cross_entropy_with_logits(private, move.batch.private)
    return Value(loss, loss)


def _ratio(move: Move, section: TokensRecipe) -> Tensor:
    assert isinstance(move.anonymizer, TokenDropper)
    shares = [section.keep ** (stage / section.stages) for stage in range(1, section.stages + 1)]
    return ratio_loss(move.anonymizer.select(move.batch.clips).probabilities, shares)


def _note_size(trainer: Trainer) -> None:
    """Write T, H and W of the training clips into the weights, so that videos are read at this size."""
    clips = trainer.batches.clips(0).clips
    assert isinstance(trainer.anonymizer, TokenDropper)
    sizes = [clips.shape[1], *clips.shape[-2:]]
    trainer.anonymizer.trained_on.copy_(torch.tensor(sizes, device=clips.device))


def _section(recipe: Recipe) -> TokensRecipe:
    return recipe.section if isinstance(recipe.section, TokensRecipe) else TokensRecipe()
