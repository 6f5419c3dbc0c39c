"""Search spaces, samplers that propose points, and rungs that stop trials early. Importing it does not load Optuna."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anon_tune.search.importances import importance
    from anon_tune.search.rungs import rung_levels
    from anon_tune.search.space import SearchSpace

_LAZY = {
    "SearchSpace": "anon_tune.search.space",
    "importance": "anon_tune.search.importances",
    "rung_levels": "anon_tune.search.rungs",
}

__all__ = [
    "SearchSpace",
    "importance",
    "rung_levels",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'anon_tune.search' has no attribute '{name}'")
