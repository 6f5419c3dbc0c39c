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
    check_attackers(recipe.evaluation.rung.attackers, f"{where}: 'evaluation.rung.attackers'")
    check_attackers(recipe.evaluation.full.attackers, f"{where}: 'evaluation.full.attackers'")
    check_network("anonymizer", recipe.anonymizer.network, where)
    check_network("utility", recipe.utility.network, where)
    check_network("privacy", recipe.privacy.network, where)
