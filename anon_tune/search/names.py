"""Checks that the attackers, networks and methods that a recipe names exist and go together."""

from __future__ import annotations

from anon_tune.attackers import check_attackers
from anon_tune.attackers.named import named_attacker
from anon_tune.methods import check_start, is_trained
from anon_tune.networks import check_network
from anon_tune.recipe import NETWORK_BRANCH, Recipe
from anon_tune.recipe.measuring import SMALL_CLASSIFIER


def check_names(recipe: Recipe, where: str) -> None:
    """Check that every attacker and network of a recipe exists, and that the network can imitate the start.

    This loads the packages that add attackers or networks. It loads torch only if the start is not the identity.

    Args:
        recipe: The recipe of a trial.
        where: The file that it came from, for error messages.

    Raises:
        RecipeError: No attacker or network has this name, or the network cannot imitate the start.
        UsageError: The package that adds it does not load, or breaks the contract of attackers or networks.
    """
    for name, effort in (("rung", recipe.evaluation.rung), ("full", recipe.evaluation.full)):
        check_attackers(effort.attackers, f"{where}: 'evaluation.{name}.attackers'")
        check_attackers(effort.fresh, f"{where}: 'evaluation.{name}.fresh'")
    if (classifier := recipe.evaluation.classifier) != SMALL_CLASSIFIER:
        named_attacker(classifier, f"{where}: 'evaluation.classifier'")
    check_attackers((n for n in recipe.privacy.branches if n != NETWORK_BRANCH), f"{where}: 'privacy.branches'")
    check_network("anonymizer", recipe.anonymizer.network, where)
    check_network("utility", recipe.utility.network, where)
    check_network("privacy", recipe.privacy.network, where)
    if is_trained(recipe.method):
        check_start(recipe, where)
