"""Sentences about measurement itself: how well rungs predict full scores, and how much time measurement takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anon_tune.pareto import rung_agreement
from anon_tune.report.wording import percent, text
from anon_tune.search.choices import Choice
from anon_tune.search.trained import has_trained_method
from anon_tune.trial import Trial, TrialState, task_of


def measuring_note(trials: Sequence[Trial], choices: Sequence[Choice] = ()) -> str:
    """Return sentences about rung scores and about the time that measurement took; empty while nothing is known.

    Args:
        trials: All trials of the study.
        choices: What its search has chosen. If it tells of rungs, it has rank correlations of its own.
    """
    agreement = "" if any(choice.of.startswith("rung ") for choice in choices) else _agreement(trials)
    return f"{agreement} {_cost(trials)}".strip()


def measured_by(trials: Sequence[Trial], space: Mapping[str, object]) -> str:
    """Return a sentence that names the attackers and the network of the utility task; empty while there is none.

    Args:
        trials: All trials of the study.
        space: The tables of its search space.
    """
    scores = [trial.score for trial in trials if trial.score]
    names = dict.fromkeys(name for score in scores for name in score.attackers)
    if not names:
        return ""
    fixed, defaults = (space.get(name) for name in ("fixed", "defaults"))
    said = [table.get("evaluation.classifier") for table in (fixed, defaults) if isinstance(table, Mapping)]
    classifier = next((str(one) for one in said if one), "small")
    which = "a small network" if classifier == "small" else classifier
    task = task_of(scores)
    measured = f"{task.title} is measured by a fresh {task.network}: {which}."
    return f"Attackers of the full scores: {', '.join(names)}. {measured}"


def choices_list(choices: Sequence[Choice]) -> str:
    """Return what the search has chosen and why, as HTML; empty if there was nothing to choose."""
    rows = "".join(f"<li>{text(choice)}.</li>" for choice in choices)
    return f'<ul class="note">{rows}</ul>' if rows else ""


def _agreement(trials: Sequence[Trial]) -> str:
    found = rung_agreement(trials)
    if found is None:
        return ""
    return (
        f"The rank correlation between leakage at a trial's last rung and its full leakage on the test split is "
        f"{found.correlation:+.2f}, over the {found.num_trials} complete trials that were measured at both."
    )


def _cost(trials: Sequence[Trial]) -> str:
    """Say which share of their time trained trials spend on measurement; closed-form ones do nothing else."""
    done = [t for t in trials if t.state is TrialState.COMPLETE and has_trained_method(t)]
    seconds = sum(report.seconds for trial in done for report in trial.reports)
    if seconds == 0:
        return ""
    rungs, full = (
        sum(r.score.seconds for trial in done for r in trial.reports if r.score.full is full) / seconds
        for full in (False, True)
    )
    return (
        f"Of the time of complete trained trials, measurement at rungs took {percent(rungs)} and full measurement "
        f"{percent(full)}."
    )
