"""The anonymizer that rebuilds a clip from noised random projections of its frames.

Shapes: B clips, T frames per clip, C = 3 channels (RGB), H height, W width, p numbers of a frame, k projections,
r components.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from anon_tune.accounting import gaussian_noise_multiplier
from anon_tune.methods.secret_key import private_noise
from anon_tune.networks import Anonymizer
from anon_tune.recipe import Recipe

MOST_BLOCKS = 768
"""Blocks of a frame at most: the noise on ``X^T X`` has p^2 numbers, and p is three times the blocks."""


class Dprp(Anonymizer):
    """Projects the frames of a clip at random, adds noise, and rebuilds them along noised principal components.

    A frame is a row x of norm at most 1. Released are ``Y = X P + noise`` with P (p,k) of independent N(0, 1/k), and
    the components V of ``X^T X + noise``; the frames are ``Y (V^T P)^+ V^T``. Neighbouring clips differ in one frame,
    whose content is replaced by any other. A row changes by at most 1, so X P changes by at most
    ``B = sqrt(chi2(k, 1 - d) / k)`` but for a probability d over P, and ``X^T X`` by at most sqrt(2). Each of both
    releases has half of epsilon. A quarter of delta is for each, and half of it is d. A person is in many frames, and
    then the statement is that many times weaker.

    Args:
        epsilon: Above 0.
        projections: The number k.
        components: The number r, at most k.
        block: Side in pixels of the blocks that a frame is reduced to first; see `fitting_block` for large frames.
        delta: In (0, 1).

    Source:
        Video-DPRP, arXiv:2503.02132. Its formulas were not available, so these are ours.
    """

    num_before = None
    sees_frames_once = True

    def __init__(self, epsilon: float, projections: int, components: int, block: int, delta: float) -> None:
        super().__init__()
        from scipy.stats import chi2

        multiplier = gaussian_noise_multiplier(epsilon / 2, delta / 4)
        self.projections, self.components, self.block = projections, min(components, projections), block
        self.row_deviation = multiplier * math.sqrt(chi2.ppf(1 - delta / 2, projections) / projections)
        self.square_deviation = multiplier * math.sqrt(2)

    def rewrite(self, clips: Tensor) -> Tensor:
        return torch.stack([self._rebuilt(clip) for clip in clips])

    def _rebuilt(self, clip: Tensor) -> Tensor:
        height, width = clip.shape[-2:]
        side = fitting_block(self.block, height, width)
        tall, wide = min(side, height), min(side, width)
        means = F.avg_pool2d(clip, (tall, wide), ceil_mode=True, count_include_pad=False)
        rows = means.flatten(1)
        num = rows.shape[1]
        kept = rebuild(
            rows / math.sqrt(num),
            private_noise(clip, (num, self.projections), "dprp projection") / math.sqrt(self.projections),
            self.row_deviation * private_noise(clip, (len(rows), self.projections), "dprp rows"),
            self.square_deviation * private_noise(clip, (num, num), "dprp square"),
            self.components,
        )
        blocks = (kept * math.sqrt(num)).view_as(means)
        return blocks.repeat_interleave(tall, -2)[..., :height, :].repeat_interleave(wide, -1)[..., :width]


def fitting_block(block: int, height: int, width: int) -> int:
    """Return the side of the blocks of a frame: `block`, or the least larger one that leaves at most `MOST_BLOCKS`."""
    while math.ceil(height / block) * math.ceil(width / block) > MOST_BLOCKS:
        block += 1
    return block


def rebuild(rows: Tensor, projection: Tensor, row_noise: Tensor, square_noise: Tensor, components: int) -> Tensor:
    """Return rows (T,p) rebuilt from noised projections along the largest noised principal components.

    Args:
        rows: X (T,p).
        projection: P (p,k).
        row_noise: Noise (T,k) on X P.
        square_noise: Noise (p,p) on X^T X, of which the upper triangle is used on both sides.
        components: The number r of components.
    """
    projected = rows @ projection + row_noise
    upper = square_noise.triu()
    square = (rows.T @ rows + upper + upper.triu(1).T).double()
    vectors = _largest(square, components).to(rows)
    rebuilt: Tensor = projected @ torch.linalg.pinv(vectors.T @ projection) @ vectors.T
    return rebuilt


def _largest(square: Tensor, components: int) -> Tensor:
    """Return the eigenvectors (p,r) of the largest eigenvalues. To find all of them takes many times as long."""
    from scipy.linalg import eigh

    num = len(square)
    _, vectors = eigh(square.cpu().numpy(), subset_by_index=(max(0, num - components), num - 1))
    return torch.from_numpy(vectors)


def build(recipe: Recipe, epsilon: float, projections: int, components: int, block: int, delta: float) -> Dprp:
    """Return the anonymizer."""
    return Dprp(epsilon, projections, components, block, delta)
