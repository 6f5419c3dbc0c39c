"""Builds the networks of the wavelet bands and the loss terms of each band.

Shapes: B clips, T frames per clip, N frames, C = 3 channels, H height, W width, J levels.

Source:
    arXiv:2412.00277 (released as ppfer): a U-Net for the low band and one for the details of a Haar transform, each
    against a classifier of identities on its own band. We differ:

    * The adversary learns with the anonymizer, on the joined frames. There, it is frozen, and its loss is maximized
      without a bound.
    * Details have values of both signs. There, a sigmoid makes them positive.
    * Each band has a distortion threshold. There, distortion is not limited.
    * The compensator learns in the same game, against the same adversary. There, it learns afterwards and for the task
      alone, so that nothing keeps it from restoring what the bands hid.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from anon_tune.methods.wavelet import WaveletRecipe
from anon_tune.networks import Anonymizer, FrameAnonymizer
from anon_tune.networks.anonymizers import Bottleneck, UNet
from anon_tune.networks.haar import join, padded, split
from anon_tune.recipe import Recipe
from anon_tune.schedule import Schedule
from anon_tune.training import GameHooks, Move, Seen, Term, Value, penalty


class BandNetworks(nn.Module):
    """Rewrites frames (N,3,H,W) in [0, 1], each band by a network of its own.

    Args:
        levels: The number J of levels.
        channels: Channels of the first level of each U-Net.
        compensator: True for one more U-Net on the joined frames.
    """

    def __init__(self, levels: int, channels: int, compensator: bool) -> None:
        super().__init__()
        self.levels, sizes = levels, (channels, 2 * channels)
        self.low = UNet(sizes)
        self.details = nn.ModuleList(UNet(sizes, num_planes=9) for _ in range(levels))  # coarsest first
        self.compensator = UNet(sizes, fold=2) if compensator else nn.Identity()

    def forward(self, frames: Tensor) -> Tensor:
        """Map frames (N,3,H,W) in [0, 1] to the same shape; without a compensator they may leave the range a little."""
        low, *details = split(padded(frames, self.levels), self.levels)
        scale = 2.0**self.levels  # of the low band; that of the coarsest details is half of it on either side of 0
        bands = [scale * self.low(low / scale)]
        for network, detail in zip(self.details, details, strict=True):
            bands.append(scale * (network(detail / scale + 0.5) - 0.5))
            scale /= 2
        joined = join(bands)[..., : frames.shape[-2], : frames.shape[-1]].clamp(0, 1)
        changed: Tensor = self.compensator(joined)
        return changed


def build(recipe: Recipe) -> Anonymizer:
    """Return the anonymizer with fresh weights."""
    section, shared = _section(recipe), recipe.anonymizer
    network = BandNetworks(section.levels, shared.base_channels, section.compensator)
    return FrameAnonymizer(network, bottleneck=Bottleneck(shared.grey, shared.block, shared.levels))


def hooks(recipe: Recipe) -> GameHooks:
    """Add a penalty for each kind of band and, if their privacy weights differ from 1, the rest of these weights."""
    section = _section(recipe)
    weight = Schedule(start=section.penalty_weight)
    terms = [
        Term("low_penalty", partial(_low_penalty, section=section), lambda recipe: weight),
        Term("high_penalty", partial(_high_penalty, section=section), lambda recipe: weight),
    ]
    if (section.privacy_low, section.privacy_high) != (1.0, 1.0):
        terms.append(
            Term("band_privacy", partial(_band_privacy, section=section), lambda recipe: recipe.privacy.weight)
        )
    return GameHooks(tuple(terms))


def weighted_gradient(clips: Tensor, levels: int, low: float, high: float) -> Tensor:
    """Return clips (...,3,H,W) unchanged, and multiply the gradient of each kind of band on its way back.

    It reaches the networks of the bands apart wherever their output was not clamped to [0, 1].

    Args:
        clips: Of any range.
        levels: The number J of levels.
        low: Factor for the low band.
        high: Factor for the details.
    """
    frames = clips.flatten(end_dim=-4)
    bands = split(padded(frames, levels), levels)
    factors = [low] + [high] * levels
    passed = [factor * (band - band.detach()) for factor, band in zip(factors, bands, strict=True)]
    way = join(passed)[..., : frames.shape[-2], : frames.shape[-1]]  # its value is 0
    return (frames.detach() + way).reshape(clips.shape)


def _low_penalty(move: Move, section: WaveletRecipe) -> Tensor:
    raw, changed = (_bands(clips, section.levels)[0] for clips in (move.batch.clips, move.changed))
    return penalty(raw, changed, section.threshold_low)


def _high_penalty(move: Move, section: WaveletRecipe) -> Tensor:
    raw, changed = (_bands(clips, section.levels)[1] for clips in (move.batch.clips, move.changed))
    return penalty(raw, changed, section.threshold_high)


def _bands(clips: Tensor, levels: int) -> tuple[Tensor, Tensor]:
    """Return the low band and all details of clips (B,T,3,H,W), one row per clip."""
    low, *details = (band.reshape(len(clips), -1) for band in split(padded(clips.flatten(0, 1), levels), levels))
    return low, torch.cat(details, dim=1)


def _band_privacy(move: Move, section: WaveletRecipe) -> Value:
    """Return the game's adversary term again, with what the privacy weight of each band adds to its gradient.

    The game's own term has the factor 1 for every band, so this one has the factor ``weight - 1``. Its value is
    without meaning; the loss curve shows L_B.
    """
    rest = section.privacy_low - 1, section.privacy_high - 1
    seen = move.seen
    stills, clips = (weighted_gradient(x, section.levels, *rest) for x in (seen.stills, seen.clips))
    return Value(*move.privacy.drive(Seen(stills, clips, seen.private, seen.seed)))


def _section(recipe: Recipe) -> WaveletRecipe:
    return recipe.section if isinstance(recipe.section, WaveletRecipe) else WaveletRecipe()
