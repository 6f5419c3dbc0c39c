"""Makes an anonymizer that is ready to use from a recipe and, for a trained method, its weights."""

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
        recipe: The recipe of the anonymizer, trained or closed-form.
        tensors: All its weights, empty for a closed-form method. The file of weights that training began with need not
            exist any more.
        where: The file that the weights came from, for error messages.

    Raises:
        DataError: A tensor is missing, is left over or has another shape.
    """
    anonymizer = build_anonymizer(recipe.with_weights(None))
    take_tensors(anonymizer, tensors, where)
    return anonymizer.eval().requires_grad_(False)


def given_anonymizer(recipe: Recipe, weights: Path | str = "") -> Anonymizer:
    """Build an anonymizer as `ready_anonymizer` does.

    Args:
        recipe: The recipe of the anonymizer.
        weights: The file of its weights, as a path or a URI; empty for a closed-form method.

    Raises:
        DataError: The file cannot be read, or is of another network.
    """
    if not weights:
        return ready_anonymizer(recipe, {}, f"method {recipe.method}")
    with reading_file(weights) as path:
        return ready_anonymizer(recipe, read_tensors(path)[0], str(weights))
