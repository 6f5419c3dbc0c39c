"""The code that runs in workers: the body of a trial, in this process or through Ray Train."""

from anon_tune.worker.body import ClipTrialBody

__all__ = ["ClipTrialBody"]
