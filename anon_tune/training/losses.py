"""The loss functions of the game.

Shapes: B clips, T frames per clip, N stills, C channels, H height, W width, A attributes,
E embedding dimensions, D feature channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Categories = Sequence[Sequence[int]]
"""For each category, the columns of its values; see `anon_tune.clips.ClipSet`."""

_TINY = 1e-12  # keeps the gradient of the square root finite at zero distortion


def quantize(clips: Tensor) -> Tensor:
    """Round to the 256 levels that a video file can hold. The gradient is that of the identity.

    Args:
        clips: Values in [0, 1], of any shape.
    """
    return (clips.detach() * 255).round() / 255 + (clips - clips.detach())


def distortion(raw: Tensor, changed: Tensor) -> Tensor:
    """Return the root mean square difference of each clip, (B,), from two (B,...) tensors."""
    return ((raw - changed).flatten(1).square().mean(dim=1) + _TINY).sqrt()


def penalty(raw: Tensor, changed: Tensor, threshold: float) -> Tensor:
    """Return ``mean over clips of max(0, rms(raw - changed) - threshold)``, a scalar.

    A clip within the threshold has a gradient of exactly 0. A clip beyond it has the gradient of its distortion. The
    distortion is computed per clip, because with that of the batch one clip could hide behind the others.

    Args:
        raw: Pixels (B,T,C,H,W) or utility features (B,D,t,h,w) of the raw clips.
        changed: The same for the anonymized clips.
        threshold: Distortion that is free, at least 0, in the units of the input.

    Source:
        L_penalty of arXiv:2504.14301, on pixels. The released code turns the value into a Python number, which has no
        gradient; `PenaltyRecipe.detached` reproduces that.
    """
    return (distortion(raw, changed) - threshold).clamp(min=0).mean()


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Return the NT-Xent loss of every view, (2N,): the cross-entropy of finding the other view of the same still.

    A blind branch has a loss of ``log(2N - 1)``.

    Args:
        first: Unit vectors (N,E), first views.
        second: Unit vectors (N,E), second views of the same stills.
        temperature: Above 0.

    Source:
        SimCLR, arXiv:2002.05709, equation 1.
    """
    with torch.autocast(first.device.type, enabled=False):  # a temperature multiplies the rounding of bfloat16
        views = torch.cat([first, second])
        views = views.to(torch.promote_types(views.dtype, torch.float32))
        logits = views @ views.T / temperature
    logits = logits.masked_fill(torch.eye(len(views), dtype=torch.bool, device=views.device), -math.inf)
    partner = torch.arange(len(views), device=views.device).roll(len(first))
    return F.cross_entropy(logits, partner, reduction="none")


def privacy_loss(
    outputs: Tensor, private: Tensor, head: str, temperature: float, categories: Categories = ()
) -> tuple[Tensor, float | Tensor]:
    """Return L_B for every element, and the loss of a blind branch.

    Args:
        outputs: Outputs of the privacy branch: logits (N,A), or unit vectors (N,E) in which the two views of a clip
            follow each other.
        private: Labels (N,A) in {0, 1}; NT-Xent does not use them.
        head: ``attributes`` or ``nt_xent``.
        temperature: Temperature of NT-Xent, above 0.
        categories: For each category, the columns of its values. They are learned by one softmax, and count together
            as one label.

    Returns:
        L_B and the loss of a branch that sees nothing. L_B is (N,L) for ``attributes``, where L counts the categories
        and the attributes that belong to none, and (N,) for ``nt_xent``.
    """
    if head == "nt_xent":
        loss = nt_xent(outputs[0::2], outputs[1::2], temperature)
        return loss, math.log(len(outputs) - 1)
    if not categories:
        return F.binary_cross_entropy_with_logits(outputs, private, reduction="none"), math.log(2)
    others = without_category(outputs.shape[1], categories)
    columns = [
        F.cross_entropy(outputs[:, list(at)], private[:, list(at)].argmax(dim=1), reduction="none") for at in categories
    ]
    binary = F.binary_cross_entropy_with_logits(outputs[:, others], private[:, others], reduction="none")
    blind = [math.log(len(at)) for at in categories] + [math.log(2)] * len(others)
    return torch.cat([torch.stack(columns, dim=1), binary], dim=1), outputs.new_tensor(blind)


def without_category(num_attributes: int, categories: Categories) -> list[int]:
    """Return the columns of the attributes that belong to no category."""
    taken = {column for at in categories for column in at}
    return [column for column in range(num_attributes) if column not in taken]


def adversary(loss: Tensor, blind: float | Tensor, bound: Literal["cap", "tanh"], cap: float) -> Tensor:
    """Return the bounded adversary term ``-L_B``, a scalar in [-cap * blind, 0].

    With ``c = cap * blind``, the bound ``cap`` is ``-min(L_B, c)`` and ``tanh`` is ``-c tanh(L_B / c)`` for every
    element; the term is the mean. With ``cap = 1``, f_A gains nothing on an element on which the branch is no better
    than a blind one.

    Args:
        loss: L_B of every element, at least 0.
        blind: The loss of a blind branch, above 0; one value, or one for each column of the loss.
        bound: The kind of bound.
        cap: The bound as a multiple of `blind`.

    Source:
        SPAct (arXiv:2203.15205) and arXiv:2504.14301 use ``-L_B`` itself, which has no lower bound.
    """
    c = cap * blind
    if bound == "tanh":
        return -(c * torch.tanh(loss / c)).mean()
    return -(torch.minimum(loss, c) if isinstance(c, Tensor) else loss.clamp(max=c)).mean()


def uniform(outputs: Tensor, categories: Categories = ()) -> Tensor:
    """Return the cross-entropy between a branch's outputs and the outputs of a branch that knows nothing, a scalar.

    It is smallest if the branch outputs a probability of 0.5 for every attribute, or the same probability for every
    value of a category, whatever the labels are. The gradient is proportional to ``sigmoid(logit) - 0.5`` for an
    attribute, so no bound is needed.

    Args:
        outputs: Logits (N,A) of the privacy branch.
        categories: As for `privacy_loss`.

    Source:
        VITA (arXiv:1807.08379, 1906.05675), for several attributes. We differ: the released code has a target of 1, so
        that every attribute shall look present. Categories are ours.
    """
    if not categories:
        return F.binary_cross_entropy_with_logits(outputs, torch.full_like(outputs, 0.5))
    columns = [-outputs[:, list(at)].log_softmax(dim=1).mean(dim=1) for at in categories]
    others = outputs[:, without_category(outputs.shape[1], categories)]
    binary = F.binary_cross_entropy_with_logits(others, torch.full_like(others, 0.5), reduction="none")
    return torch.cat([torch.stack(columns, dim=1), binary], dim=1).mean()
