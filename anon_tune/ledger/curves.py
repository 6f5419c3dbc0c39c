"""The loss curves of a ledger, kept as columns. A point of a curve is made only when it is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import pyarrow as pa

from anon_tune.ledger.record import FIRST_TERMS
from anon_tune.trial import LossPoint


class CurveColumns:
    """The steps and terms of all reports in flat columns, with the place at which those of each row begin.

    Args:
        records: All records of a ledger, one row each.
    """

    def __init__(self, records: pa.Table) -> None:
        steps = records["curve_steps"].combine_chunks()
        self._ends, self._steps = steps.offsets.to_pylist(), _numbers(steps.values)
        terms = records["curve_terms"].combine_chunks()
        self._term_ends, self._names = terms.offsets.to_pylist(), terms.keys.to_pylist()
        self._value_starts = terms.items.offsets.to_pylist()
        self._values = _numbers(terms.items.values)
        first = records["curve"].combine_chunks()
        self._first_ends = first.offsets.to_pylist()
        self._first_steps = _numbers(first.values.field("step"))
        self._first = {name: _numbers(first.values.field(name)) for name in FIRST_TERMS}

    def length(self, row: int) -> int:
        """Return how many points the curve of a row has."""
        return self._length(self._ends, row) or self._length(self._first_ends, row)

    def point(self, row: int, at: int) -> LossPoint:
        """Return one point of the curve of a row; points are counted from 0."""
        if self._length(self._ends, row):
            terms = range(*self._term_ends[row : row + 2])
            values = {self._names[term]: self._values[self._value_starts[term] + at].item() for term in terms}
            return LossPoint(self._steps[self._ends[row] + at].item(), values)
        place = self._first_ends[row] + at
        return LossPoint(
            self._first_steps[place].item(), {name: self._first[name][place].item() for name in self._first}
        )

    @staticmethod
    def _length(ends: Sequence[int], row: int) -> int:
        return ends[row + 1] - ends[row]


class Curve(Sequence[LossPoint]):
    """The loss curve of one report. It behaves like a tuple of points.

    A point is made when it is read, because a large study has a million of them.

    Args:
        columns: The curves of all reports of the ledger.
        row: Row of the report.
    """

    __slots__ = ("_columns", "_row")

    def __init__(self, columns: CurveColumns, row: int) -> None:
        self._columns, self._row = columns, row

    def __len__(self) -> int:
        return self._columns.length(self._row)

    @overload
    def __getitem__(self, at: int) -> LossPoint: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[LossPoint, ...]: ...
    def __getitem__(self, at: int | slice) -> LossPoint | tuple[LossPoint, ...]:
        if isinstance(at, slice):
            return tuple(self[i] for i in range(*at.indices(len(self))))
        return self._columns.point(self._row, range(len(self))[at])

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, tuple | Curve) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (list(self),)  # a pickle must not carry the curves of the whole ledger


def _numbers(column: pa.Array) -> Any:
    return column.to_numpy(zero_copy_only=False)
