"""The builder of methods that rewrite frames by the network that the recipe names."""

from __future__ import annotations

from anon_tune.errors import RecipeError
from anon_tune.methods.building import build_anonymizer
from anon_tune.networks import Anonymizer, FrameAnonymizer, build_network
from anon_tune.recipe import Recipe


def build(recipe: Recipe) -> Anonymizer:
    """Return the network with fresh weights, on top of the start if the recipe says so.

    Raises:
        RecipeError: The network makes no frames that could be added to those of the start.
    """
    network = build_network(recipe.anonymizer)
    if recipe.anonymizer.residual:
        if not isinstance(network, FrameAnonymizer):
            rule = "'anonymizer.residual' needs a network that makes its frames from windows of frames"
            raise RecipeError("recipe", rule, recipe.anonymizer.network, "Leave it out, or choose unet_temporal")
        network.change(build_anonymizer(Recipe(method=recipe.anonymizer.start)))
    return network
