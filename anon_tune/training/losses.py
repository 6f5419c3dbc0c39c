"""The terms of the game.

Shapes: B clips, T frames per clip, N stills, C channels, H height, W width, A attributes,
E embedding dimensions, D feature channels.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

_TINY = 1e-12  # keeps the gradient of the root finite at zero distortion


def quantize(clips: Tensor) -> Tensor:
    """Round to the 256 levels a video file can carry; the gradient passes straight through.

    Args:
        clips: Any shape, in [0, 1].
    """
    return (clips.detach() * 255).round() / 255 + (clips - clips.detach())


def distortion(raw: Tensor, changed: Tensor) -> Tensor:
    """Return the root mean square difference of each clip, (B,), from two (B,...) tensors."""
    return ((raw - changed).flatten(1).square().mean(dim=1) + _TINY).sqrt()


def penalty(raw: Tensor, changed: Tensor, threshold: float) -> Tensor:
    """Return ``mean over clips of max(0, rms(raw - changed) - threshold)``, a scalar.

    Within the threshold a clip gets exactly no gradient, beyond it the gradient of its distortion.
    By clip, not by batch, or one clip could hide behind the others.

    Args:
        raw: Pixels (B,T,C,H,W) or utility features (B,D,t,h,w) of the raw clips.
        changed: The same of the anonymized clips.
        threshold: At least 0, in units of the input.

    Source:
        arXiv:2504.14301, L_penalty, on pixels. Its released code reads the value as a Python
        number, without gradient; `PenaltyRecipe.detached` reproduces that.
    """
    return (distortion(raw, changed) - threshold).clamp(min=0).mean()


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Return the NT-Xent loss of every view, (2N,): cross-entropy of telling a view's partner.

    A blind branch gets ``log(2N - 1)``.

    Args:
        first: Unit vectors (N,E), first views.
        second: Unit vectors (N,E), second views of the same stills.
        temperature: Above 0.

    Source:
        SimCLR, arXiv:2002.05709, equation 1.
    """
    views = torch.cat([first, second])
    logits = views @ views.T / temperature
    logits = logits.masked_fill(torch.eye(len(views), dtype=torch.bool, device=views.device), -math.inf)
    partner = torch.arange(len(views), device=views.device).roll(len(first))
    return F.cross_entropy(logits, partner, reduction="none")


def privacy_loss(outputs: Tensor, private: Tensor, head: str, temperature: float) -> tuple[Tensor, float]:
    """Return L_B by element, and what a blind branch gets.

    Args:
        outputs: Of the privacy branch: logits (N,A), or unit vectors (N,E) where the two views of
            a clip follow each other.
        private: Labels (N,A) in {0, 1}; not looked at by NT-Xent.
        head: ``attributes`` or ``nt_xent``.
        temperature: Of NT-Xent.
    """
    if head == "nt_xent":
        loss = nt_xent(outputs[0::2], outputs[1::2], temperature)
        return loss, math.log(len(outputs) - 1)
    return F.binary_cross_entropy_with_logits(outputs, private, reduction="none"), math.log(2)


def adversary(loss: Tensor, blind: float, bound: Literal["cap", "tanh"], cap: float) -> Tensor:
    """Return the bounded adversary term ``-L_B``, a scalar in [-cap * blind, 0].

    ``cap`` takes ``-min(L_B, c)`` and ``tanh`` takes ``-c tanh(L_B / c)``, by element, with
    ``c = cap * blind``. At cap = 1 there is nothing to gain on an element on which the branch
    already does no better than a blind one.

    Args:
        loss: L_B by element, at least 0.
        blind: What a blind branch gets, above 0.
        bound: Which bound.
        cap: As a multiple of `blind`.

    Source:
        SPAct (arXiv:2203.15205) and arXiv:2504.14301 use ``-L_B`` itself, which has no lower bound.
    """
    c = cap * blind
    return -(loss.clamp(max=c) if bound == "cap" else c * torch.tanh(loss / c)).mean()


def uniform(outputs: Tensor) -> Tensor:
    """Return the cross-entropy of a branch's outputs to 0.5, a scalar of at least log 2.

    Least where the branch says 0.5 of everything, whatever the labels are. The gradient of an
    element is ``sigmoid(logit) - 0.5``, so nothing has to be bounded.

    Args:
        outputs: Logits (N,A) of the privacy branch.

    Source:
        VITA (arXiv:1807.08379, 1906.05675) for several attributes. We differ: its released code
        sets the target to 1, which asks every attribute to look present.
    """
    return F.binary_cross_entropy_with_logits(outputs, torch.full_like(outputs, 0.5))
