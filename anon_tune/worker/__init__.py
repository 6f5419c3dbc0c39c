"""The code that trains and measures trials in workers, in the calling process or through Ray Train."""

from anon_tune.worker.body import ClipTrialBody

__all__ = ["ClipTrialBody"]
