"""From the name of a method to its anonymizer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from anon_tune.method import parse_method
from anon_tune.networks.anonymizers import Anonymizer
from anon_tune.networks.closed_form import BlackOut, Blur, Downsample, FrameDifference, Identity, Negative, Pixelate
from anon_tune.networks.persons import AreaBlur, AreaPixelate, PersonBlackOut, PersonBlur
from anon_tune.networks.table import check_network
from anon_tune.networks.weights import load_weights
from anon_tune.recipe import AnonymizerRecipe

_CLOSED_FORM: Mapping[str, Callable[..., Anonymizer]] = {
    "identity": Identity,
    "black-out": BlackOut,
    "negative": Negative,
    "downsample": Downsample,
    "blur": Blur,
    "pixelate": Pixelate,
    "frame-difference": FrameDifference,
    "person-black-out": PersonBlackOut,
    "person-blur": PersonBlur,
    "area-blur": AreaBlur,
    "area-pixelate": AreaPixelate,
}


def build_anonymizer(method: str, recipe: AnonymizerRecipe) -> Anonymizer:
    """Build the anonymizer of a recipe; a trained one with fresh weights or those of a local file.

    Args:
        method: The recipe's method, as in `anon_tune.method`.
        recipe: Which network, and how wide; not looked at by a closed-form method.

    Raises:
        RecipeError: Unknown method or argument.
        AnonTuneError: The file of weights does not fit the network.
    """
    parsed = parse_method(method)
    if not parsed.is_trained:
        return _CLOSED_FORM[parsed.name](**parsed.values)
    build = check_network("anonymizer", recipe.network, "recipe").anonymizer
    assert build is not None
    anonymizer = build(recipe)
    load_weights(anonymizer, recipe.weights)
    return anonymizer
