"""The columns of a ledger, and how a trial, a report, a repeat or a lost job becomes a row."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from anon_tune.trial import Cost, LossPoint, LostJob, Reading, Repeat, RungReport, Score, Trial
from anon_tune.utility_task import ACTION

READING = ("", "_floor", "_ceiling", "_low", "_high", "_validation")
"""Column suffixes after the name of an objective, in the order of the fields of a `Reading`."""

FIRST_TERMS = ("utility", "privacy", "penalty", "distortion")
"""The terms in a point of the column ``curve``, which ledgers had before terms were named."""

_CURVE = pa.struct([("step", pa.int64()), *[(name, pa.float64()) for name in FIRST_TERMS]])

SCHEMA = pa.schema(
    [
        ("record", pa.int64()),
        ("time", pa.float64()),
        ("trial", pa.string()),
        ("number", pa.int64()),
        ("method", pa.string()),
        ("state", pa.string()),
        ("reason", pa.string()),
        ("fingerprint", pa.string()),
        ("params", pa.string()),  # JSON, because trials of one study may have different params
        ("rung", pa.int64()),  # null if the record holds no report
        ("step", pa.int64()),
        ("full", pa.bool_()),
        *[(name + suffix, pa.float64()) for name in ("leakage", "accuracy") for suffix in READING],
        ("leakage_normalized", pa.float64()),
        ("attackers", pa.map_(pa.string(), pa.float64())),
        ("attributes", pa.map_(pa.string(), pa.float64())),
        ("distortion", pa.float64()),
        ("num_train_clips", pa.int64()),
        ("num_test_clips", pa.int64()),
        ("seed", pa.int64()),
        ("score_seconds", pa.float64()),
        ("seconds", pa.float64()),
        ("node", pa.string()),
        ("checkpoint", pa.string()),
        ("curve", pa.list_(_CURVE)),  # only in old ledgers, from before terms were named; null otherwise
        ("repeat", pa.int64()),  # null if the record holds no repeat
        ("training_seed", pa.int64()),
        ("rung_correlation", pa.float64()),  # over all trials so far; only if this record made a trial COMPLETE
        ("seconds_per_frame", pa.float64()),  # null if it was not measured
        ("cpu_s", pa.float64()),  # this and the next three are of the job that the record reports
        ("gpu_s", pa.float64()),
        ("money", pa.float64()),
        ("violation", pa.float64()),
        ("lost_s", pa.float64()),  # seconds of a job that never reported; null if the record holds no lost job
        ("curve_steps", pa.list_(pa.int64())),
        ("curve_terms", pa.map_(pa.string(), pa.list_(pa.float64()))),  # a value per step; NaN if the term has none
        ("task", pa.string()),  # null for ``action``
        ("beside", pa.string()),  # JSON: the six numbers of each of the task's other readings, by name; null for none
    ]
)
"""One row per record. Columns are never removed, and a new column must be nullable, so that old ledgers stay readable.
"""


def trial_row(record: int, trial: Trial, values: Mapping[str, Any]) -> pa.Table:
    """Return one record as a table of one row.

    Args:
        record: Number of the record.
        trial: The trial in its present state.
        values: Values of the columns that a report, a repeat or a lost job fills.
    """
    row: dict[str, Any] = {
        "record": record,
        "time": time.time(),
        "trial": trial.id,
        "number": trial.number,
        "method": trial.method,
        "state": trial.state.value,
        "reason": trial.reason,
        "fingerprint": trial.fingerprint,
        "params": json.dumps(dict(trial.params), sort_keys=True),
        **values,
    }
    return pa.Table.from_pylist([row], schema=SCHEMA)


def report_row(report: RungReport) -> dict[str, Any]:
    """Return the columns that a report fills."""
    return _score_row(report.score) | {
        "rung": report.rung,
        "step": report.step,
        "seconds": report.seconds,
        "node": report.node,
        "checkpoint": report.weights,
        "curve_steps": [point.step for point in report.curve],
        "curve_terms": [
            (name, [p.terms.get(name, math.nan) for p in report.curve]) for name in term_names(report.curve)
        ],
        "violation": report.violation,
        **_cost_row(report.cost),
    }


def term_names(curve: Iterable[LossPoint]) -> list[str]:
    """Return the names of all terms of a curve, in the order in which they first appear."""
    return list(dict.fromkeys(name for point in curve for name in point.terms))


def lost_row(job: LostJob) -> dict[str, Any]:
    """Return the columns that a lost job fills."""
    return {"lost_s": job.seconds, "node": job.node, **_cost_row(job.cost)}


def repeat_row(repeat: Repeat) -> dict[str, Any]:
    """Return the columns that a repeat fills."""
    return {"repeat": repeat.number, "training_seed": repeat.training_seed} | _score_row(repeat.score)


def _cost_row(cost: Cost) -> dict[str, Any]:
    return {"cpu_s": cost.cpu_s, "gpu_s": cost.gpu_s, "money": cost.money}


def _score_row(score: Score) -> dict[str, Any]:
    row: dict[str, Any] = {
        "full": score.full,
        "leakage_normalized": score.leakage.normalized,
        "attackers": list(score.attackers.items()),
        "attributes": list(score.attributes.items()),
        "distortion": score.distortion,
        "num_train_clips": score.num_train_clips,
        "num_test_clips": score.num_test_clips,
        "seed": score.seed,
        "score_seconds": score.seconds,
        "seconds_per_frame": None if math.isnan(score.seconds_per_frame) else score.seconds_per_frame,
        "task": None if score.task == ACTION.name else score.task,
        "beside": json.dumps({n: _numbers(r) for n, r in score.beside.items()}) if score.beside else None,
    }
    for name in ("leakage", "accuracy"):
        values = _numbers(getattr(score, name))
        row |= {name + suffix: value for suffix, value in zip(READING, values, strict=True)}
    return row


def _numbers(reading: Reading) -> tuple[float, ...]:
    """Return the numbers of a reading in the order of `READING`."""
    return reading.value, reading.floor, reading.ceiling, reading.low, reading.high, reading.validation
