"""Search spaces, samplers that propose points, and rungs that stop trials early. Importing it does not load Optuna."""

from anon_tune.search.space import SearchSpace

__all__ = ["SearchSpace"]
