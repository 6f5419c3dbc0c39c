"""Builds the anonymizer of TeD-SPAD, the embedding head of f_T and the triplet loss.

Shapes: B clips, T frames per clip, W frames per window, C = 3 channels, H height, W width, D features, E embedding
dimensions.

Source:
    TeD-SPAD (arXiv:2308.11072): the triplet margin loss on unit embeddings, in both moves, with a margin of 1 and a
    weight of 0.1 beside the cross-entropy. We differ:

    * The two windows of a clip never share a frame. The released code draws both from one range, so that they may.
    * The other view of the anchor is a crop of its anonymized frames; there, the crop is anonymized a second time.
    * The cross-entropy is that of the whole clip; there, it is that of the anchor.
    * The head has layer normalization and 64 dimensions; there, batch normalization and 128.
    * The adversary is bounded, and weights, rates and lengths are those of the recipe, as in every method of the game.

    The loss rewards an appearance that changes with time. It neither rewards nor punishes what stays the same in a
    clip, as the looks of a person do.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anon_tune.methods.rewriting_network import build
from anon_tune.methods.ted_spad import TedSpadRecipe, section_of, window_frames
from anon_tune.networks import UtilityNetwork
from anon_tune.recipe import Recipe
from anon_tune.schedule import Schedule
from anon_tune.training import GameHooks, Head, Move, Term, Value

__all__ = ["build", "hooks"]

_GRID = 4  # cells along each side over which features are averaged, as in the small networks
_HIDDEN = 64


class EmbeddingHead(nn.Module):
    """Maps features of f_T, (B,D,t,h,w), to unit embeddings (B,E).

    Args:
        num_features: The number D of feature channels.
        num_dimensions: The number E of embedding dimensions.
    """

    def __init__(self, num_features: int, num_dimensions: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(num_features * _GRID**2, _HIDDEN),
            nn.LayerNorm(_HIDDEN),
            nn.ReLU(),
            nn.Linear(_HIDDEN, num_dimensions, bias=False),
            nn.LayerNorm(num_dimensions),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map features (B,D,t,h,w) to unit embeddings (B,E)."""
        cells = F.adaptive_avg_pool2d(features.mean(dim=2), _GRID).flatten(1)
        return F.normalize(self.layers(cells), dim=1)


def draw_windows(num_frames: int, window: int, gap: int, num_clips: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw the first frames of an anchor and of another window for each clip, (B,) each.

    The windows share no frame, and at least `gap` frames lie between them. Every such pair is equally likely.
    """
    starts = torch.arange(num_frames - window + 1)
    first, second = torch.cartesian_prod(starts, starts).unbind(dim=1)
    pairs = torch.stack([first, second])[:, (first - second).abs() >= window + gap]
    drawn = torch.randint(pairs.shape[1], (num_clips,), generator=torch.Generator().manual_seed(seed))
    return pairs[0, drawn], pairs[1, drawn]


def corner_views(clips: Tensor, smallest: float, seed: int) -> Tensor:
    """Return crops of clips (B,W,C,H,W) that keep the upper left corner, resized to their old size.

    Each clip is cropped to a share of its height and width that is uniform in [smallest, 1], and the same for all its
    frames. The gradient flows back to the clips.
    """
    shares = torch.rand(len(clips), generator=torch.Generator().manual_seed(seed)) * (1 - smallest) + smallest
    scale = shares.to(clips).repeat_interleave(clips.shape[1])
    theta = torch.zeros(len(scale), 2, 3, device=clips.device, dtype=clips.dtype)
    theta[:, 0, 0] = theta[:, 1, 1] = scale
    theta[:, :, 2] = (scale - 1).unsqueeze(1)  # the corner at (-1, -1) stays where it is
    frames = clips.flatten(0, 1)
    grid = F.affine_grid(theta, list(frames.shape), align_corners=False)
    return F.grid_sample(frames, grid, padding_mode="border", align_corners=False).reshape(clips.shape)


def triplet(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Return ``mean of max(0, |a - p| - |a - n| + margin)`` of embeddings (B,E), a scalar.

    Source:
        The loss of TeD-SPAD, by torch, which adds 1e-6 to every difference.
    """
    return F.triplet_margin_loss(anchor, positive, negative, margin)


def distinctness(move: Move, section: TedSpadRecipe) -> Value:
    """Return the weighted triplet loss of the anonymized clips; the loss curve shows it without the weight."""
    clips, seed = move.changed, move.seen.seed
    num_frames = clips.shape[1]
    window = window_frames(move.recipe, num_frames, "recipe")
    rows, offsets = torch.arange(len(clips)).unsqueeze(1), torch.arange(window)
    starts = draw_windows(num_frames, window, section.gap, len(clips), seed)
    anchor, other = (clips[rows, start.unsqueeze(1) + offsets] for start in starts)
    views = torch.cat([anchor, corner_views(anchor, section.smallest_view, seed), other])
    embeddings: Tensor = move.head(move.utility.features(views))
    at_anchor, at_view, at_other = embeddings.chunk(3)
    loss = triplet(at_anchor, at_view, at_other, section.margin)
    return Value(section.weight * loss, loss)


def _head(section: TedSpadRecipe, utility: UtilityNetwork, num_actions: int, num_attributes: int) -> nn.Module:
    device = next(utility.parameters()).device
    with torch.no_grad():  # in eval mode, so that no statistics of the network change
        num_features = utility.eval().features(torch.zeros(1, 4, 3, 32, 32, device=device)).shape[1]
    utility.train()
    return EmbeddingHead(num_features, section.dimensions)


def hooks(recipe: Recipe) -> GameHooks:
    """Add the triplet loss to both moves, and the head, which learns with f_T."""
    section = section_of(recipe)
    if not section.weight:
        return GameHooks()
    term = Term("distinctness", partial(distinctness, section=section), lambda recipe: recipe.utility.weight)
    alone = Term("distinctness", partial(distinctness, section=section), lambda recipe: Schedule(start=1.0))
    return GameHooks((term,), (alone,), head=Head("utility", partial(_head, section)))
