"""Builds the learned lens, its loss term, and what the Wiener attackers get.

Shapes: B clips, S side of a spot in pixels.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from anon_tune.attackers import AttackerInputs
from anon_tune.methods.learned_lens import LearnedLensRecipe
from anon_tune.methods.learned_lens.lens import LearnedLens
from anon_tune.networks import Anonymizer
from anon_tune.recipe import Recipe
from anon_tune.schedule import Schedule
from anon_tune.training import GameHooks, Move, Term


def build(recipe: Recipe) -> Anonymizer:
    """Return the lens with the coefficients that it has before training."""
    section = _section(recipe)
    return LearnedLens(section.num_zernike, section.num_colours, section.start, section.read_noise)


def hooks(recipe: Recipe) -> GameHooks:
    """Return the term on light that falls far from the middle of the spot."""
    section = _section(recipe)
    weight = Schedule(start=section.energy_weight)

    def energy(move: Move) -> Tensor:
        assert isinstance(move.anonymizer, LearnedLens)
        return far_light(move.anonymizer.spots(), section.energy_radius)

    return GameHooks(anonymizer_terms=(Term("lens_energy", energy, lambda recipe: weight),))


def far_light(spots: Tensor, radius: float) -> Tensor:
    """Return the share of light that falls farther from the middle than a radius in pixels, averaged over colours.

    Args:
        spots: Images of a point (3,S,S), each of which adds up to 1.
        radius: In pixels.
    """
    at = torch.arange(spots.shape[-1], device=spots.device) - spots.shape[-1] // 2
    far = at.view(-1, 1).square() + at.view(1, -1).square() > radius**2
    return (spots * far).sum(dim=(-2, -1)).mean()


def attacker_inputs(recipe: Recipe) -> AttackerInputs:
    """Return what the Wiener attackers get: the spot of the lens, and the variance of its noise."""
    noise = _section(recipe).read_noise

    def inputs(anonymizer: Anonymizer, clips: Tensor) -> Mapping[str, Tensor]:
        assert isinstance(anonymizer, LearnedLens)
        spots = anonymizer.spots().detach()
        return {
            "spots": spots.expand(len(clips), *spots.shape),
            "noise_variance": torch.full((len(clips),), noise**2 + _ROUNDING),
        }

    return inputs


_ROUNDING = (1 / 255) ** 2 / 12  # variance of rounding to 256 levels


def _section(recipe: Recipe) -> LearnedLensRecipe:
    return recipe.section if isinstance(recipe.section, LearnedLensRecipe) else LearnedLensRecipe()
