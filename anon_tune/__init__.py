"""Distributed hyperparameter search for video anonymizers."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Resolved on first use, so that `import anon_tune` loads neither torch nor Ray.
_LAZY = {
    "Ledger": "anon_tune.ledger",
    "ParetoFront": "anon_tune.pareto",
    "Recipe": "anon_tune.recipe",
    "Schedule": "anon_tune.schedule",
    "load_anonymizer": "anon_tune.export",
}

__all__ = ["Ledger", "ParetoFront", "Recipe", "Schedule", "__version__", "load_anonymizer"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'anon_tune' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
