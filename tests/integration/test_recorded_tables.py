"""The tables of recorded runs: what a benchmark refuses, and where the recorder goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import recorded

from anon_tune.errors import DataError


def row(space: Any, **values: Any) -> dict[str, Any]:
    empty = dict.fromkeys(recorded.schema(space).names)
    return {**empty, "method": "adversarial", "configuration": 0, "seed": 0, "rung": 1, "full": True, **values}


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    space, file = recorded.recorded_space(), tmp_path / "table.parquet"
    rows = [row(space, configuration=k, leakage_value=0.1 * k) for k in range(3)]
    recorded.write_rows(rows, file, space, clips="a")
    assert recorded.read_rows(file, space, clips="a") == rows


def test_a_table_that_is_torn_or_of_something_else_is_refused(tmp_path: Path) -> None:
    space, file = recorded.recorded_space(), tmp_path / "table.parquet"
    with pytest.raises(DataError, match="there is no such table"):
        recorded.read_rows(file, space)
    recorded.write_rows([row(space)], file, space, clips="a")
    with pytest.raises(DataError, match="recorded with another clips, expected b, got a"):
        recorded.read_rows(file, space, clips="b")
    other = space.model_copy(update={"fixed": {**space.fixed, "privacy.width": 9}})
    with pytest.raises(DataError, match="recorded with another search space"):
        recorded.read_rows(file, other)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cannot be read: .*\. Restore it"):
        recorded.read_rows(file, space)
    file.write_bytes(whole)
    pq.write_table(pq.read_table(file).drop_columns(["attackers"]), file)
    with pytest.raises(DataError, match="other columns than this benchmark, got attackers"):
        recorded.read_rows(file, space)
