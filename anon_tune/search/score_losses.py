"""The scores and losses that everything in this room decides by."""

from __future__ import annotations

from anon_tune.pareto import judged_scores
from anon_tune.trial import Score, Trial, losses


def score_losses(score: Score) -> tuple[float, float]:
    """Return the losses that search and rungs use: those of the validation split, never of the test split."""
    return losses(score.leakage.validation, score.accuracy.validation)


def surest_score(trial: Trial) -> Score:
    """Return the mean of a trial's repeats if it was measured again and they are finite, else its last score."""
    if trial.repeats and (mean := judged_scores([trial])[trial.id]).is_finite:
        return mean
    return trial.reports[-1].score
