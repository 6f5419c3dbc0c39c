"""Distributed hyperparameter search for video anonymizers.

Example:
    study = anon_tune.run_study("quickstart", clips="avatars", out="runs/first", trials=16)
    study.export("anonymizer.safetensors", leakage_at_most=0.75)
    anonymizer = anon_tune.load_anonymizer("anonymizer.safetensors")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anon_tune.on_demand import on_demand

if TYPE_CHECKING:
    from anon_tune.certificate import Certificate
    from anon_tune.commands.opened_study import Study, open_study
    from anon_tune.commands.python_api import anonymize, audit, run_study
    from anon_tune.errors import AnonTuneError
    from anon_tune.export import load_anonymizer
    from anon_tune.ledger import Ledger
    from anon_tune.pareto import ParetoFront
    from anon_tune.recipe import Recipe
    from anon_tune.schedule import Schedule

__version__ = "0.1.0"

# Resolved on first use, so that `import anon_tune` loads neither torch nor Ray.
_MODULES = {
    "AnonTuneError": "anon_tune.errors",
    "Certificate": "anon_tune.certificate",
    "Ledger": "anon_tune.ledger",
    "ParetoFront": "anon_tune.pareto",
    "Recipe": "anon_tune.recipe",
    "Schedule": "anon_tune.schedule",
    "Study": "anon_tune.commands.opened_study",
    "anonymize": "anon_tune.commands.python_api",
    "audit": "anon_tune.commands.python_api",
    "load_anonymizer": "anon_tune.export",
    "open_study": "anon_tune.commands.opened_study",
    "run_study": "anon_tune.commands.python_api",
}

__all__ = [
    "AnonTuneError",
    "Certificate",
    "Ledger",
    "ParetoFront",
    "Recipe",
    "Schedule",
    "Study",
    "__version__",
    "anonymize",
    "audit",
    "load_anonymizer",
    "open_study",
    "run_study",
]

__getattr__ = on_demand(__name__, _MODULES)


def __dir__() -> list[str]:
    return sorted(__all__)
