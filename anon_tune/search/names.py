"""Checks that the attackers and networks that a recipe names exist."""

from __future__ import annotations

from anon_tune.attackers import check_attackers
from anon_tune.networks import check_network
from anon_tune.recipe import Recipe


def check_names(recipe: Recipe, where: str) -> None:
    """Check that every attacker and network of a recipe exists.

    This loads the packages that add attackers or networks, but not torch.

    Args:
        recipe: The recipe of a trial.
        where: The file that it came from, for error messages.

    Raises:
        RecipeError: No attacker or network has this name.
        UsageError: The package that adds it does not load, or breaks the contract of attackers or networks.
    """
    for name, effort in (("rung", recipe.evaluation.rung), ("full", recipe.evaluation.full)):
        check_attackers(effort.attackers, f"{where}: 'evaluation.{name}.attackers'")
        check_attackers(effort.fresh, f"{where}: 'evaluation.{name}.fresh'")
    check_network("anonymizer", recipe.anonymizer.network, where)
    check_network("utility", recipe.utility.network, where)
    check_network("privacy", recipe.privacy.network, where)
