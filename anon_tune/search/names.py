"""Names in a recipe that stand for things in tables: attackers and networks."""

from __future__ import annotations

from anon_tune.attackers import check_attackers
from anon_tune.networks import check_network
from anon_tune.recipe import Recipe


def check_names(recipe: Recipe, where: str) -> None:
    """Refuse unknown attackers and networks. This loads the packages that add attackers or networks, but not torch.

    Args:
        recipe: Of a trial.
        where: The file it came from, named in an error.

    Raises:
        RecipeError: No attacker or network has the name.
        UsageError: The package that adds it does not load or breaks the contract.
    """
    check_attackers(recipe.evaluation.rung.attackers, f"{where}: 'evaluation.rung.attackers'")
    check_attackers(recipe.evaluation.full.attackers, f"{where}: 'evaluation.full.attackers'")
    check_network("anonymizer", recipe.anonymizer.network, where)
    check_network("utility", recipe.utility.network, where)
    check_network("privacy", recipe.privacy.network, where)
