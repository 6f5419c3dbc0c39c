"""The losses of a score that everything in this room decides by."""

from __future__ import annotations

from anon_tune.trial import Score, losses


def score_losses(score: Score) -> tuple[float, float]:
    """Return the losses that search and rungs use: those of the validation split, never of the test split."""
    return losses(score.leakage.validation, score.accuracy.validation)
