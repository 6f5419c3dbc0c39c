"""Turns records back into trials. It works on columns, because a dict per row would take most of the time."""

from __future__ import annotations

import contextlib
import gc
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from anon_tune.ledger.curves import Curve, CurveColumns
from anon_tune.ledger.one_kind import of_one_kind
from anon_tune.ledger.record import READING
from anon_tune.trial import Cost, LostJob, Reading, Repeat, RungReport, Score, Trial, TrialState
from anon_tune.utility_task import ACTION

_ZERO_IF_NULL = ("cpu_s", "gpu_s", "money", "violation")  # null in files written before these columns existed


def fold(records: pa.Table) -> list[Trial]:
    """Combine the records of each trial into one trial.

    A trial whose full score is recorded is COMPLETE, even if the driver died before it recorded that state. If repeats
    were trained again, those that were only measured do not count; see `of_one_kind`.

    Args:
        records: Every record once, in order.

    Returns:
        The anchors, then all other trials by number.

    Raises:
        ValueError: A record is damaged.
        TypeError: A record is damaged.
    """
    columns = _Columns(records)
    by_trial: dict[str, list[int]] = {}
    for row, name in enumerate(columns.plain["trial"]):
        if name not in by_trial and ({"/", "\\"} & set(name) or name in ("", ".", "..")):
            raise ValueError(f"the trial id '{name}' is not a plain name, so its files could lie outside the study")
        by_trial.setdefault(name, []).append(row)
    with _uncollected():
        trials = sorted((_fold(columns, rows) for rows in by_trial.values()), key=lambda t: (t.number, t.id))
    return of_one_kind(trials)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Turn the garbage collector off for a block. It finds nothing in the new objects, but doubles the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Columns:
    """The columns of a ledger as lists, by name. In a row that does not use a column, the value has no meaning."""

    def __init__(self, records: pa.Table) -> None:
        nested = [name for name in records.column_names if pa.types.is_nested(records.schema.field(name).type)]
        self.plain = {name: _values(name, records[name]) for name in records.column_names if name not in nested}
        self.is_report = records["rung"].is_valid().to_numpy().tolist()
        self.is_repeat = records["repeat"].is_valid().to_numpy().tolist()
        self.is_lost = records["lost_s"].is_valid().to_numpy().tolist()
        self.readings = {name: [self.plain[name + suffix] for suffix in READING] for name in ("leakage", "accuracy")}
        self._maps = {name: _Maps(records[name]) for name in ("attackers", "attributes")}
        self._curves = CurveColumns(records)

    def report(self, row: int) -> RungReport:
        """Return the report in a row."""
        plain = self.plain
        return RungReport(
            trial_id=plain["trial"][row],
            rung=plain["rung"][row],
            step=plain["step"][row],
            score=self.score(row),
            curve=Curve(self._curves, row),
            seconds=plain["seconds"][row],
            node=plain["node"][row],
            weights=plain["checkpoint"][row],
            cost=self.cost(row),
            violation=plain["violation"][row],
            ended=plain["time"][row],
        )

    def lost(self, row: int) -> LostJob:
        """Return the lost job in a row."""
        plain = self.plain
        return LostJob(plain["lost_s"][row], plain["node"][row], self.cost(row), plain["time"][row])

    def cost(self, row: int) -> Cost:
        """Return the cost in a row."""
        return Cost(*(self.plain[name][row] for name in ("cpu_s", "gpu_s", "money")))

    def score(self, row: int) -> Score:
        """Return the score in a row."""
        plain = self.plain
        per_frame = plain["seconds_per_frame"][row]
        return Score(
            full=plain["full"][row],
            leakage=Reading(*[column[row] for column in self.readings["leakage"]]),
            accuracy=Reading(*[column[row] for column in self.readings["accuracy"]]),
            attackers=self._maps["attackers"][row],
            attributes=self._maps["attributes"][row],
            distortion=plain["distortion"][row],
            num_train_clips=plain["num_train_clips"][row],
            num_test_clips=plain["num_test_clips"][row],
            seed=plain["seed"][row],
            seconds=plain["score_seconds"][row],
            # Python's own NaN object, so that the score equals one in which the field was left at its default.
            seconds_per_frame=math.nan if math.isnan(per_frame) else per_frame,
            task=plain["task"][row] or ACTION.name,
            beside={name: Reading(*numbers) for name, numbers in json.loads(plain["beside"][row] or "{}").items()},
        )


class _Maps:
    """A column of maps, read row by row. Equal keys share one string object to save memory."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        maps = column.combine_chunks()
        self._ends = maps.offsets.to_pylist()
        keys = maps.keys.dictionary_encode()
        names = keys.dictionary.to_pylist()
        self._keys = [names[index] for index in keys.indices.to_numpy().tolist()]
        self._items = maps.items.to_numpy(zero_copy_only=False).tolist()

    def __getitem__(self, row: int) -> dict[str, float]:
        start, stop = self._ends[row : row + 2]
        return dict(zip(self._keys[start:stop], self._items[start:stop], strict=True))


def _values(name: str, column: pa.ChunkedArray) -> list[Any]:
    if name in _ZERO_IF_NULL or pa.types.is_integer(column.type):
        column = column.fill_null(0)  # numpy integers cannot be null
    return list(column.to_numpy().tolist())


def _fold(columns: _Columns, rows: Sequence[int]) -> Trial:
    plain = columns.plain
    # A rung that was measured again after a crash counts once, with its first score. A score that is not finite is
    # replaced by the next one.
    reports: dict[int, RungReport] = {}
    for row in rows:
        if columns.is_report[row]:
            rung = plain["rung"][row]
            if rung not in reports or not reports[rung].score.is_finite:
                reports[rung] = columns.report(row)
    repeats = {plain["repeat"][row]: row for row in rows if columns.is_repeat[row]}
    # Repeats are measured after the study, so they do not change when and how the trial ended.
    last = next((row for row in reversed(rows) if not columns.is_repeat[row]), rows[-1])
    state = TrialState(plain["state"][last])
    if not state.is_final and any(r.score.full for r in reports.values()):
        state = TrialState.COMPLETE
    return Trial(
        id=plain["trial"][last],
        number=plain["number"][last],
        method=plain["method"][last],
        params=json.loads(plain["params"][last]),
        fingerprint=plain["fingerprint"][last],
        state=state,
        reports=tuple(reports[rung] for rung in sorted(reports)),
        reason=plain["reason"][last],
        seconds=sum(r.seconds for r in reports.values()),
        started=plain["time"][rows[0]],
        ended=plain["time"][last],
        repeats=tuple(
            Repeat(number, plain["training_seed"][row], columns.score(row)) for number, row in sorted(repeats.items())
        ),
        lost=tuple(columns.lost(row) for row in rows if columns.is_lost[row]),
    )
