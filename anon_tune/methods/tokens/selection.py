"""How many tubelets are kept, and which: the same in training and in use, without any random number.

Shapes: B clips, S slices of a clip, M tubelets of a slice, N = S * M tubelets of a clip.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def num_kept(size: int, share: float) -> int:
    """Return how many of `size` tubelets are kept: the share, rounded up, and at least one."""
    return max(1, math.ceil(size * share - 1e-6))  # else 0.7 * 10 would keep 8


def choose(scores: Tensor, alive: Tensor, share: float, of_slices: bool, temperature: float) -> Tensor:
    """Return 1 for the tubelets with the highest scores and 0 for the others, (B,S,M).

    The gradient is that of a sigmoid around the border between the two, which is midway between the lowest score that
    is kept and the highest that is dropped.

    Args:
        scores: (B,S,M).
        alive: (B,S,M), 1 for tubelets that were not dropped before; at least as many as are kept now.
        share: Share of all N tubelets, or of the M tubelets of every slice, that is kept.
        of_slices: True to keep the share of every slice.
        temperature: Scale of the sigmoid, above 0.
    """
    there = alive.detach() > 0.5
    groups = scores.masked_fill(~there, -math.inf)
    groups = groups if of_slices else groups.flatten(1).unsqueeze(1)
    size = groups.shape[-1]
    num = num_kept(size, share)
    if num == size:
        return torch.ones_like(scores)
    found = groups.detach().topk(num + 1, dim=-1)
    last, next_ = found.values[..., num - 1], found.values[..., num]
    border = torch.where(next_ > -math.inf, (last + next_) / 2, last - temperature).unsqueeze(-1)
    hard = torch.zeros_like(groups).scatter(-1, found.indices[..., :num], 1.0)
    soft = torch.sigmoid((groups.masked_fill(groups == -math.inf, -1e4) - border) / temperature)
    bits = (hard + (soft - soft.detach())).reshape(scores.shape)
    return bits * alive


def attention_score(utility: Tensor, privacy: Tensor, privacy_share: float) -> Tensor:
    """Return the score of every tubelet, ``N (a_utility - share * a_privacy)``, (B,N).

    Args:
        utility: Attention of the utility token to the tubelets, (B,N), at least 0, which adds up to 1.
        privacy: Attention of the privacy token, likewise.
        privacy_share: The share, at least 0.
    """
    return utility.shape[-1] * (utility - privacy_share * privacy)


def ratio_loss(kept: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    """Return the mean of ``(mean keep probability - share)^2`` over clips and stages, a scalar.

    Args:
        kept: Keep probabilities (B,N) of every stage.
        shares: The share of all tubelets that every stage shall keep.

    Source:
        DynamicViT (arXiv:2106.02034), as STPrivacy's authors describe their own. It is there on the keep bits.
    """
    losses = [(p.mean(dim=1) - share).square().mean() for p, share in zip(kept, shares, strict=True)]
    return torch.stack(losses).mean()
