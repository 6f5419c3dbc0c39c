"""The builder of methods that rewrite frames by the network that the recipe names."""

from __future__ import annotations

from anon_tune.networks import Anonymizer, build_network
from anon_tune.recipe import Recipe


def build(recipe: Recipe) -> Anonymizer:
    """Return the network with fresh weights."""
    return build_network(recipe.anonymizer)
