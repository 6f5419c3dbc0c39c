"""The state of a study, read only from its directory: even while it runs, and on any machine that can read it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from anon_tune.commands.study_view import StudyView
from anon_tune.ledger import Ledger
from anon_tune.pareto import Cause, EmptyFront, front_document
from anon_tune.search.points import num_points
from anon_tune.study.frozen_study import read_study
from anon_tune.study.lock import driver_of
from anon_tune.study_directory import StudyDirectory, StudyLocation
from anon_tune.trial import ANCHORS, Trial, TrialState

_LAST_FAILURES = 5


def study_status(directory: StudyLocation) -> dict[str, Any]:
    """Return the state of a study as plain values for ``json.dumps(..., allow_nan=False)``; unknown values are None.

    Keys: ``study``, ``copied_from`` (the study of which the directory is a copy, else None), ``num_trials`` (to
    propose, anchors not counted), ``states`` (number of trials by state; trials that have not started are ``TO_COME``),
    ``is_complete``, ``driver`` (the process that holds the study; None if no process does, so that no trial runs),
    ``running`` (trials that began and have not ended, including anchors: start time, last rung and step measured),
    ``hypervolume`` (on test clips, as in `front_document`), ``hypervolume_validation`` (on validation clips, as the
    search sees it), ``num_on_front``, ``empty`` (why no trial is on the front although some have ended, else None),
    ``cost``, ``left_s`` (None without a driver), ``last_record`` (Unix time), ``failures`` (the last few, latest
    first).

    Raises:
        StudyError: There is no study.
    """
    study = StudyDirectory.at(directory)
    space, settings = read_study(study)
    num_trials = num_points(space, settings.sampler, settings.num_trials, settings.seed)
    # The order of reading matters: a driver writes the ledger, then the file `ended`, and then releases the study.
    driver = None if study.ended.exists() else driver_of(study)
    has_ended = study.ended.exists()
    document = status_document(Ledger(study.ledger).trials(), num_trials, has_ended, driver)
    return document | {"study": str(study), "copied_from": study.origin}


def status_document(
    trials: Sequence[Trial], num_trials: int, has_ended: bool = False, driver: str | None = None
) -> dict[str, Any]:
    """Return the document of `study_status` without the keys ``study`` and ``copied_from``.

    Args:
        trials: All trials, including anchors.
        num_trials: Number of trials that the study should have, anchors not counted.
        has_ended: True if the driver starts no more trials, for example because of a stop rule.
        driver: The process that runs the study; None if no process does.
    """
    view = StudyView.of(trials, num_trials)
    empty = EmptyFront.of(trials)
    over = {t.id for t in trials if t.state.is_final}
    failed = sorted((t for t in trials if t.state is TrialState.FAILED), key=lambda t: -t.ended)
    states = {state.value: view.states[state] for state in TrialState}
    return {
        "num_trials": num_trials,
        "states": states | {"TO_COME": 0 if has_ended else max(0, num_trials - view.states.total())},
        "is_complete": over.issuperset(ANCHORS)
        and (has_ended or sum(n for s, n in view.states.items() if s.is_final) >= num_trials),
        "running": [_running(t) for t in trials if t.state is TrialState.RUNNING],
        "hypervolume": _known(front_document(trials)["hypervolume"]),
        "hypervolume_validation": _known(view.hypervolume),
        "num_on_front": len(view.front),
        "empty": None if empty is None or empty.cause is Cause.EARLY else str(empty),
        "cost": asdict(view.cost),
        "left_s": 0.0 if has_ended else None if driver is None else _known(view.left_s),
        "last_record": max((t.ended for t in trials), default=None),
        "failures": [{"trial": t.id, "reason": t.reason, "ended": t.ended} for t in failed[:_LAST_FAILURES]],
        "driver": driver,
    }


def _running(trial: Trial) -> dict[str, Any]:
    last = trial.reports[-1] if trial.reports else None
    return {
        "trial": trial.id,
        "method": trial.method,
        "rung": None if last is None else last.rung,
        "step": None if last is None else last.step,
        "since": trial.ended,  # time of its last record: its start, or its last measurement
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
