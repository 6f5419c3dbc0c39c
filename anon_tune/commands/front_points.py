"""The points of a small plot of a study's front."""

from __future__ import annotations

from collections.abc import Sequence

from anon_tune.commands.front_marks import FrontPoint, Mark
from anon_tune.pareto import ParetoFront
from anon_tune.trial import Score, Trial, TrialState


def points_on_test(front: ParetoFront) -> tuple[FrontPoint, ...]:
    """Return every scored trial and anchor, measured on the test split."""
    return tuple(
        FrontPoint(
            front.scores[t.id].leakage.value, front.scores[t.id].accuracy.value, _mark(t, front.front_ranks[t.id] == 0)
        )
        for t in front.trials
    )


def points_on_validation(trials: Sequence[Trial], front: Sequence[tuple[str, Score]]) -> tuple[FrontPoint, ...]:
    """Return every complete trial and anchor, measured on the validation split.

    Args:
        trials: All trials.
        front: Ids and scores of the front of the validation readings.
    """
    on_front = {trial_id for trial_id, _ in front}
    return tuple(
        FrontPoint(t.score.leakage.validation, t.score.accuracy.validation, _mark(t, t.id in on_front))
        for t in trials
        if t.state is TrialState.COMPLETE and t.score is not None
    )


def _mark(trial: Trial, is_on_front: bool) -> Mark:
    if trial.is_anchor:
        return Mark(trial.method)
    return Mark.FRONT if is_on_front else Mark.OTHER
