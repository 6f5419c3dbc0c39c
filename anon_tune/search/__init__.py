"""Search spaces, the proposal of points, and the early stopping of trials. Importing this room does not load Optuna."""

from anon_tune.search.space import SearchSpace

__all__ = ["SearchSpace"]
