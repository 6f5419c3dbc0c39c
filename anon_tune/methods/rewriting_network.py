"""The builder of methods that rewrite frames by the network that the recipe names."""

from __future__ import annotations

from anon_tune.methods.bdq.network import Bdq
from anon_tune.networks import Anonymizer, FrameAnonymizer
from anon_tune.networks.anonymizers import UNet
from anon_tune.recipe import Recipe


def build(recipe: Recipe) -> Anonymizer:
    """Return the network with fresh weights."""
    width = recipe.anonymizer.base_channels
    match recipe.anonymizer.network:
        case "bdq":
            return Bdq()
        case "unet":
            return FrameAnonymizer(UNet((64, 128, 256, 512, 512)))
        case "unet_small":
            return FrameAnonymizer(UNet((width, 2 * width), fold=2))
