"""Which trials trained something, as far as that is known here."""

from __future__ import annotations

from anon_tune.errors import AnonTuneError
from anon_tune.methods import is_trained
from anon_tune.trial import Trial


def has_trained_method(trial: Trial) -> bool:
    """True if the trial's method is a trained one, false if it is closed-form; the trial may not have begun.

    A method of a package that is not installed here counts as trained unless the trial was measured and has no losses.
    """
    try:
        return is_trained(trial.method)
    except AnonTuneError:
        return not trial.reports or any(report.curve for report in trial.reports)
