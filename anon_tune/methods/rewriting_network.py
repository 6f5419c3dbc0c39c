"""The builder of methods that rewrite frames by the network that the recipe names."""

from __future__ import annotations

from anon_tune.networks import Anonymizer, check_network
from anon_tune.recipe import Recipe


def build(recipe: Recipe) -> Anonymizer:
    """Return the network with fresh weights."""
    network = check_network("anonymizer", recipe.anonymizer.network, "recipe").anonymizer
    assert network is not None  # it was checked
    return network(recipe.anonymizer)
