"""Writes the front as a JSON document."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from anon_tune.pareto.front import ParetoFront
from anon_tune.trial import OBJECTIVES, Cost, Reading, Trial


def front_document(trials: Sequence[Trial], all_trials: bool = False) -> dict[str, Any]:
    """Return the front as plain values for ``json.dumps(..., allow_nan=False)``.

    The keys are ``reference_point`` (null while no trial has a full score), ``hypervolume``, ``empty`` (why no trial
    but the anchors is on the front, else null), ``cost`` and ``lost_s`` (both summed over all trials, listed or not),
    and ``trials``, from the lowest leakage to the highest, with trials without a full score last. Unknown values
    are null. Rung scores never appear, because they are cheaper and cannot be compared with full scores. If a trial has
    ``num_repeats`` above 0, its readings are means. ``probability_on_front`` is null unless the study is verified and
    the trial is an anchor or has repeats.

    Args:
        trials: All trials of one ledger; the study may still be running.
        all_trials: List every trial, not only the front and the anchors.
    """
    front = ParetoFront.of(trials)
    listed = [t for t in trials if all_trials or t.is_anchor or front.front_ranks.get(t.id) == 0]
    rows = [_row(trial, front) for trial in listed]
    point = front.reference_point
    return {
        "reference_point": None if point is None else {"leakage": point.leakage, "accuracy": point.accuracy},
        "hypervolume": front.hypervolume,
        "empty": None if front.empty is None else str(front.empty),
        "cost": asdict(sum((trial.cost for trial in trials), Cost())),
        "lost_s": sum((trial.lost_s for trial in trials), 0.0),
        "trials": sorted(rows, key=lambda row: math.inf if row["leakage"] is None else row["leakage"]),
    }


def _row(trial: Trial, front: ParetoFront) -> dict[str, Any]:
    score = front.scores.get(trial.id)
    row: dict[str, Any] = {
        "trial": trial.id,
        "method": trial.method,
        "state": trial.state.value,
        "front_rank": front.front_ranks.get(trial.id),
    }
    for objective in OBJECTIVES:
        reading: Reading | None = getattr(score, objective.name) if score is not None else None
        row |= _reading_row(objective.name, reading)
    row |= {"num_repeats": len(trial.repeats), "probability_on_front": front.probabilities.get(trial.id)}
    params = {name: _number(v) if isinstance(v, float) else v for name, v in trial.params.items()}
    row |= {"feasible": trial.is_feasible}
    row |= {"seconds_per_frame": None if score is None else _number(score.seconds_per_frame)}
    return row | {"seconds": trial.seconds, "lost_s": trial.lost_s, **asdict(trial.cost), "params": params}


def _reading_row(name: str, reading: Reading | None) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for suffix, field in (("", "value"), ("_floor", "floor"), ("_ceiling", "ceiling")):
        row[name + suffix] = _number(getattr(reading, field)) if reading is not None else None
    if name == "leakage":
        row["leakage_normalized"] = _number(reading.normalized) if reading is not None else None
    row[f"{name}_interval"] = [_number(reading.low), _number(reading.high)] if reading is not None else None
    return row


def _number(value: float) -> float | None:
    """Return None for NaN and infinity, which strict JSON cannot express."""
    return value if math.isfinite(value) else None
