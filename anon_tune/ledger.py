"""Append-only Parquet record of trials and rungs: the one source that front and report read.

A ledger is a folder of small Parquet files, one an append, written to a hidden name and renamed
when complete, so that a crash at any byte leaves every earlier record readable. One process (the
driver) writes; any number may read, also while a study runs. ``pandas.read_parquet(folder)`` gives
one row a record, newest last after sorting by ``record``. Rows with a ``repeat`` are measurements that
`anon-tune verify` took after the study. Parts older than a column are read as having none there: no
repeat, no cost, no broken constraint, no seconds a frame.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from anon_tune.errors import LedgerError
from anon_tune.trial import Cost, LossPoint, Reading, Repeat, RungReport, Score, Trial, TrialState

_READING = ("", "_floor", "_ceiling", "_low", "_high", "_validation")
_CURVE = pa.struct(
    [("step", pa.int64())] + [(n, pa.float64()) for n in ("utility", "privacy", "penalty", "distortion")]
)

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
        ("params", pa.string()),  # JSON: trials of one study may have different names
        ("rung", pa.int64()),  # null where the record carries no report
        ("step", pa.int64()),
        ("full", pa.bool_()),
        *[(name + suffix, pa.float64()) for name in ("leakage", "accuracy") for suffix in _READING],
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
        ("curve", pa.list_(_CURVE)),
        ("repeat", pa.int64()),  # null where the record carries no repeat
        ("training_seed", pa.int64()),
        ("rung_correlation", pa.float64()),  # over all trials so far, where this record made one COMPLETE
        ("seconds_per_frame", pa.float64()),  # null where nobody took it
        ("cpu_s", pa.float64()),  # of the job that this record reports, as are the next three
        ("gpu_s", pa.float64()),
        ("money", pa.float64()),
        ("violation", pa.float64()),
    ]
)


class Ledger:
    """The ledger of one study directory.

    Args:
        folder: The ``ledger`` folder; created on the first append.

    Raises:
        LedgerError: On reading a file that is not a ledger's.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._next = max((int(p.stem) for p in self._parts()), default=-1) + 1

    def _parts(self) -> list[Path]:
        return sorted(p for p in self.folder.glob("*.parquet") if p.stem.isdigit())

    def append(self, trial: Trial, report: RungReport | None = None, rung_correlation: float | None = None) -> None:
        """Record a trial's present state, with the report that led to it if there is one.

        The record is on disk when the call returns.

        Args:
            trial: As it now stands.
            report: What a worker sent.
            rung_correlation: Rank correlation of rung and full leakage over all trials up to this one.
        """
        row = {} if report is None else _report_row(report)
        self._write(trial, row | {"rung_correlation": rung_correlation})

    def append_repeat(self, trial: Trial, repeat: Repeat) -> None:
        """Record one more measurement of a trial; of two with the same number the later one counts.

        The record is on disk when the call returns.
        """
        row = {"repeat": repeat.number, "training_seed": repeat.training_seed}
        self._write(trial, row | _score_row(repeat.score))

    def _write(self, trial: Trial, values: Mapping[str, Any]) -> None:
        row: dict[str, Any] = {
            "record": self._next,
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
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / f"{self._next:08d}.parquet"
        hidden = part.with_name(f".{part.name}.{os.getpid()}")
        try:
            pq.write_table(pa.Table.from_pylist([row], schema=SCHEMA), hidden)
            with open(hidden, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(hidden, part)
        finally:
            hidden.unlink(missing_ok=True)
        self._next += 1

    def trials(self) -> list[Trial]:
        """Fold the records into trials, anchors first, then by number.

        A trial whose full score is recorded is COMPLETE even if the driver died before saying so.
        """
        rows: list[dict[str, Any]] = []
        for part in self._parts():
            remedy = "Move it away and try again"
            try:
                read = pq.read_table(part, schema=SCHEMA).to_pylist()
            except (OSError, pa.ArrowException) as error:
                raise LedgerError(str(part), "not a ledger file", str(error).splitlines()[0], remedy) from None
            if any(row["record"] is None for row in read):
                raise LedgerError(str(part), "not a ledger file", remedy=remedy)
            rows += read
        rows.sort(key=lambda row: row["record"])
        by_trial: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            by_trial.setdefault(row["trial"], []).append(row)
        return sorted((_fold(r) for r in by_trial.values()), key=lambda t: (t.number, t.id))


def _report_row(report: RungReport) -> dict[str, Any]:
    return _score_row(report.score) | {
        "rung": report.rung,
        "step": report.step,
        "seconds": report.seconds,
        "node": report.node,
        "checkpoint": report.checkpoint,
        "curve": [asdict(point) for point in report.curve],
        "cpu_s": report.cost.cpu_s,
        "gpu_s": report.cost.gpu_s,
        "money": report.cost.money,
        "violation": report.violation,
    }


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
    }
    for name in ("leakage", "accuracy"):
        reading: Reading = getattr(score, name)
        values = (
            reading.value,
            reading.floor,
            reading.ceiling,
            reading.low,
            reading.high,
            reading.validation,
        )
        row |= {name + suffix: value for suffix, value in zip(_READING, values, strict=True)}
    return row


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
        leakage=Reading(*_numbers(row["leakage" + suffix] for suffix in _READING)),
        accuracy=Reading(*_numbers(row["accuracy" + suffix] for suffix in _READING)),
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
