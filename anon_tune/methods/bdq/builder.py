"""Builds the anonymizer of BDQ."""

from __future__ import annotations

from anon_tune.methods.bdq import BdqRecipe
from anon_tune.networks import Anonymizer
from anon_tune.networks.bdq import Bdq
from anon_tune.recipe import Recipe


def build(recipe: Recipe) -> Anonymizer:
    """Return the anonymizer with the weights that it has before training."""
    section = recipe.section if isinstance(recipe.section, BdqRecipe) else BdqRecipe()
    return Bdq(section.sigma, section.radius, section.num_steps, section.hardness, section.largest_difference)
