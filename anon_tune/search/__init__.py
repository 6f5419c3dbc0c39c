"""Search spaces, samplers that propose points, and rungs that stop trials early. Importing it does not load Optuna."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anon_tune.on_demand import on_demand

if TYPE_CHECKING:
    from anon_tune.search.space import SearchSpace

__all__ = ["SearchSpace"]

__getattr__ = on_demand(__name__, {"SearchSpace": "anon_tune.search.space"})  # the space loads pydantic and numpy
