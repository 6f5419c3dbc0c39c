"""Checks ``anonymizer.start``, the closed-form method that the network imitates before the game."""

from __future__ import annotations

import functools

from anon_tune.errors import RecipeError
from anon_tune.methods.building import build_anonymizer
from anon_tune.methods.method import find
from anon_tune.methods.recipes import read_recipe
from anon_tune.recipe import Recipe

_IDENTITY = "identity"


def check_start(recipe: Recipe, where: str) -> None:
    """Check that the network of a recipe can imitate the start. This loads torch unless the start is the identity.

    Args:
        recipe: The recipe of a trained method.
        where: The file that it came from, for error messages.

    Raises:
        RecipeError: The start is no closed-form method, or needs frames that the network does not see.
    """
    start = recipe.anonymizer.start
    if start == _IDENTITY:
        return
    method = find(start, f"{where}: 'anonymizer.start'")
    if method.is_trained:
        remedy = "Write for example frame-difference:3"
        raise RecipeError(where, "'anonymizer.start' must be a closed-form method", start, remedy)
    if "persons" in method.spec.needs and (recipe.anonymizer.residual or recipe.dp.is_on):
        rule = "'anonymizer.start' must look for no persons with 'anonymizer.residual' or private training ('dp')"
        raise RecipeError(where, rule, start, "Choose another start")
    needed = build_anonymizer(Recipe(method=start)).num_before
    plain = Recipe(method=recipe.method, section=recipe.section, anonymizer=recipe.anonymizer).with_weights(None)
    seen = _frames_before(plain.model_dump_json())
    if seen is None or (needed is not None and needed <= seen):
        return
    frames = "all frames of a clip" if needed is None else f"{needed} earlier frame{'s' * (needed > 1)}"
    rule = f"'anonymizer.start' = '{start}' needs {frames}, and the network '{recipe.anonymizer.network}' sees {seen}"
    remedy = "Choose another start"
    if needed is not None:
        remedy += f", or --set anonymizer.network=unet_temporal --set anonymizer.frames_before={needed}"
    raise RecipeError(where, rule, remedy=remedy)


@functools.lru_cache(maxsize=64)  # a search space is checked with many recipes of few networks
def _frames_before(recipe: str) -> int | None:
    return build_anonymizer(read_recipe(recipe)).num_before
