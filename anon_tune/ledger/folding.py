"""From records back to trials, column by column: a row as a dict costs more than all the rest."""

from __future__ import annotations

import contextlib
import gc
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from anon_tune.ledger.curves import Curve, CurveColumns
from anon_tune.ledger.record import READING
from anon_tune.trial import Cost, LostJob, Reading, Repeat, RungReport, Score, Trial, TrialState

_ZERO_IF_NULL = ("cpu_s", "gpu_s", "money", "violation")  # in parts from before there were such columns


def fold(records: pa.Table) -> list[Trial]:
    """Fold records into trials, anchors first, then by number.

    A trial whose full score is recorded is COMPLETE even if the driver died before saying so.

    Args:
        records: Each once, in order.

    Raises:
        ValueError: A record is damaged.
        TypeError: Likewise.
    """
    columns = _Columns(records)
    by_trial: dict[str, list[int]] = {}
    for row, name in enumerate(columns.plain["trial"]):
        if name not in by_trial and ({"/", "\\"} & set(name) or name in ("", ".", "..")):
            raise ValueError(f"the trial '{name}', whose files would lie elsewhere")
        by_trial.setdefault(name, []).append(row)
    with _uncollected():
        return sorted((_fold(columns, rows) for rows in by_trial.values()), key=lambda t: (t.number, t.id))


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector from walking all new objects again and again for nothing: half of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Columns:
    """The columns of a ledger as lists, by name; in a row that does not use a column its value means nothing."""

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
        """Return the report that a row holds."""
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
        """Return the lost job that a row holds."""
        plain = self.plain
        return LostJob(plain["lost_s"][row], plain["node"][row], self.cost(row), plain["time"][row])

    def cost(self, row: int) -> Cost:
        """Return the cost that a row holds."""
        return Cost(*(self.plain[name][row] for name in ("cpu_s", "gpu_s", "money")))

    def score(self, row: int) -> Score:
        """Return the score that a row holds."""
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
            seconds_per_frame=math.nan if math.isnan(per_frame) else per_frame,  # the one NaN that equals the default
        )


class _Maps:
    """A column of maps; keys that are alike are one string."""

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
        column = column.fill_null(0)  # numpy's integers have no null
    return list(column.to_numpy().tolist())


def _fold(columns: _Columns, rows: Sequence[int]) -> Trial:
    plain = columns.plain
    # By rung: one redone after a crash counts once, unless it had failed with a score that is not finite.
    reports: dict[int, RungReport] = {}
    for row in rows:
        if columns.is_report[row]:
            rung = plain["rung"][row]
            if rung not in reports or not reports[rung].score.is_finite:
                reports[rung] = columns.report(row)
    repeats = {plain["repeat"][row]: row for row in rows if columns.is_repeat[row]}
    # A trial ended when its study was done with it, however often it was measured afterwards.
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
