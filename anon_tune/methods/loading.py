"""From a recipe, and weights if it is trained, to an anonymizer that is ready to use."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from anon_tune.folder import reading_file
from anon_tune.methods.building import build_anonymizer
from anon_tune.networks import Anonymizer
from anon_tune.networks.weights import read_tensors, take_tensors
from anon_tune.recipe import Recipe


def ready_anonymizer(recipe: Recipe, tensors: Mapping[str, Tensor], where: str) -> Anonymizer:
    """Build an anonymizer on the CPU, in eval mode, without gradients.

    Args:
        recipe: What it is, trained or closed-form.
        tensors: All of its weights; empty for a closed-form one. Those that its training began with need not exist.
        where: The file that they are of, for an error.

    Raises:
        DataError: A tensor is missing, is left over or has another shape.
    """
    anonymizer = build_anonymizer(recipe.with_weights(None))
    take_tensors(anonymizer, tensors, where)
    return anonymizer.eval().requires_grad_(False)


def given_anonymizer(recipe: Recipe, weights: Path | str = "") -> Anonymizer:
    """Build an anonymizer as `ready_anonymizer` does, with the weights of a file, a path or a URI, if one is given.

    Raises:
        DataError: The file cannot be read, or is of another network.
    """
    if not weights:
        return ready_anonymizer(recipe, {}, f"method {recipe.method}")
    with reading_file(weights) as path:
        return ready_anonymizer(recipe, read_tensors(path)[0], str(weights))
