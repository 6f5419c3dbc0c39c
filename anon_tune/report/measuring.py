"""Sentences about the measuring itself: what a rung is worth, and what measuring costs."""

from __future__ import annotations

from collections.abc import Sequence

from anon_tune.pareto import rung_agreement
from anon_tune.report.wording import percent
from anon_tune.trial import Trial, TrialState


def measuring_note(trials: Sequence[Trial]) -> str:
    """Return what can be said yet of rung scores and of the time that measuring takes; may be empty."""
    return f"{_agreement(trials)} {_cost(trials)}".strip()


def _agreement(trials: Sequence[Trial]) -> str:
    found = rung_agreement(trials)
    if found is None:
        return ""
    return (
        f"Leakage at a trial's last rung and its full leakage on the test split: rank correlation "
        f"{found.correlation:+.2f} over the {found.num_trials} complete trials that were measured at both."
    )


def _cost(trials: Sequence[Trial]) -> str:
    """Tell what measuring takes of a trained trial's time; a closed-form one does nothing else."""
    done = [t for t in trials if t.state is TrialState.COMPLETE and t.was_trained]
    seconds = sum(report.seconds for trial in done for report in trial.reports)
    if seconds == 0:
        return ""
    rungs, full = (
        sum(r.score.seconds for trial in done for r in trial.reports if r.score.full is full) / seconds
        for full in (False, True)
    )
    return f"Of the time of complete trained trials, measuring at rungs took {percent(rungs)}, in full {percent(full)}."
