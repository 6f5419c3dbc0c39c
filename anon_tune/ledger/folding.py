"""From records back to trials."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from anon_tune.ledger.record import READING
from anon_tune.trial import Cost, LossPoint, Reading, Repeat, RungReport, Score, Trial, TrialState


def fold(records: pa.Table) -> list[Trial]:
    """Fold records into trials, anchors first, then by number.

    A trial whose full score is recorded is COMPLETE even if the driver died before saying so.

    Args:
        records: Each once, in order.
    """
    by_trial: dict[str, list[dict[str, Any]]] = {}
    for row in records.to_pylist():
        by_trial.setdefault(row["trial"], []).append(row)
    return sorted((_fold(r) for r in by_trial.values()), key=lambda t: (t.number, t.id))


def _fold(rows: list[dict[str, Any]]) -> Trial:
    reports: dict[int, RungReport] = {}  # by rung: a rung redone after a crash counts once
    for row in rows:
        if row["rung"] is not None:
            reports.setdefault(row["rung"], _report(row))
    repeats = {row["repeat"]: row for row in rows if row["repeat"] is not None}
    # A trial ended when its study was done with it, however often it was measured afterwards.
    last = next((row for row in reversed(rows) if row["repeat"] is None), rows[-1])
    state = TrialState(last["state"])
    if not state.is_final and any(r.score.full for r in reports.values()):
        state = TrialState.COMPLETE
    return Trial(
        id=last["trial"],
        number=last["number"],
        method=last["method"],
        params=json.loads(last["params"]),
        fingerprint=last["fingerprint"],
        state=state,
        reports=tuple(reports[rung] for rung in sorted(reports)),
        reason=last["reason"],
        seconds=sum(r.seconds for r in reports.values()),
        started=rows[0]["time"],
        ended=last["time"],
        repeats=tuple(Repeat(n, repeats[n]["training_seed"], _score(repeats[n])) for n in sorted(repeats)),
    )


def _report(row: Mapping[str, Any]) -> RungReport:
    return RungReport(
        trial=row["trial"],
        rung=row["rung"],
        step=row["step"],
        score=_score(row),
        curve=tuple(LossPoint(**point) for point in row["curve"]),
        seconds=row["seconds"],
        node=row["node"],
        checkpoint=row["checkpoint"],
        cost=Cost(row["cpu_s"] or 0.0, row["gpu_s"] or 0.0, row["money"] or 0.0),
        violation=row["violation"] or 0.0,
    )


def _score(row: Mapping[str, Any]) -> Score:
    return Score(
        full=row["full"],
        leakage=Reading(*_numbers(row["leakage" + suffix] for suffix in READING)),
        accuracy=Reading(*_numbers(row["accuracy" + suffix] for suffix in READING)),
        attackers=dict(row["attackers"]),
        attributes=dict(row["attributes"]),
        distortion=row["distortion"],
        num_train_clips=row["num_train_clips"],
        num_test_clips=row["num_test_clips"],
        seed=row["seed"],
        seconds=row["score_seconds"],
        seconds_per_frame=math.nan if row["seconds_per_frame"] is None else row["seconds_per_frame"],
    )


def _numbers(values: Iterable[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]
