"""Builds the anonymizer of the method 'diffusion' and the trainer that replaces the game."""

from __future__ import annotations

from anon_tune.methods.diffusion import DiffusionRecipe
from anon_tune.methods.diffusion.anonymizer import Diffusion
from anon_tune.methods.diffusion.trainer import DenoiserTrainer
from anon_tune.networks import Anonymizer
from anon_tune.recipe import Recipe

trainer = DenoiserTrainer


def build(recipe: Recipe) -> Anonymizer:
    """Return the anonymizer with a denoiser of fresh weights."""
    return Diffusion(recipe.section if isinstance(recipe.section, DiffusionRecipe) else DiffusionRecipe())
