"""The files of recorded runs: their schema, and reading and writing them. One row per rung of a run."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from anon_tune.errors import DataError, cause_of
from anon_tune.search.space import SearchSpace

HERE = Path(__file__).parent
SETS = ("avatars", "ixmas")
READING = ("value", "floor", "ceiling", "low", "high", "validation")

Row = dict[str, Any]


def recorded_space() -> SearchSpace:
    """Return what the tables search. It has no first points: the quickstart's are good ones, which peers do not get."""
    return SearchSpace.load(HERE / "recorded.toml").model_copy(update={"first": ()})


def table_file(name: str, folder: Path = HERE) -> Path:
    """Return the file of a set of clips."""
    return folder / f"table_{name}.parquet"


def schema(space: SearchSpace) -> pa.Schema:
    """Return the columns of a table."""
    kinds = [("method", pa.string()), ("configuration", pa.int32()), ("seed", pa.int32())]
    kinds += [(name, pa.float64()) for name in space.search]
    kinds += [("rung", pa.int32()), ("step", pa.int32()), ("full", pa.bool_())]
    kinds += [(f"{name}_{key}", pa.float64()) for name in ("leakage", "accuracy") for key in READING]
    kinds += [("attackers", pa.string())]  # JSON: leakage of every attacker
    kinds += [(name, pa.float64()) for name in ("distortion", "seconds", "wall_seconds", "score_seconds")]
    kinds += [(name, pa.int32()) for name in ("num_train_clips", "num_test_clips")]
    return pa.schema(kinds)


def read_rows(file: Path, space: SearchSpace, **same: str) -> list[Row]:
    """Return the rows of a table.

    Args:
        file: The table.
        space: What it must have searched.
        **same: What else must be noted in it, because rows will be added.

    Raises:
        DataError: The file is torn, or was recorded with other columns, another search space or another note.
    """
    again = "Restore it from version control, or move it away and record it again"
    try:
        table = pq.read_table(file)
    except FileNotFoundError:
        raise DataError(str(file), "there is no such table", remedy="Record it with record_table.py") from None
    except (pa.ArrowException, OSError) as error:
        raise DataError(str(file), "the table cannot be read", cause=cause_of(error), remedy=again) from error
    if not table.schema.equals(schema(space)):
        odd = set(table.schema).symmetric_difference(schema(space))
        named = ", ".join(sorted({field.name for field in odd})) or "another order"
        raise DataError(str(file), "the table has other columns than this benchmark", got=named, remedy=again)
    notes = table.schema.metadata or {}
    for key, value in {**_notes(space), **same}.items():
        if (found := notes.get(key.encode(), b"").decode()) != value:
            rule = f"the table was recorded with another {key}, expected {value[:80]}"
            raise DataError(str(file), rule, got=found[:80], remedy=again)
    rows: list[Row] = table.to_pylist()
    return rows


def write_rows(rows: Sequence[Row], file: Path, space: SearchSpace, **notes: str) -> None:
    """Replace a table by these rows, whole or not at all."""
    ordered = sorted(rows, key=lambda row: (row["configuration"], row["method"], row["seed"], row["rung"]))
    table = pa.Table.from_pylist(ordered, schema(space)).replace_schema_metadata({**_notes(space), **notes})
    hidden = file.with_name(f".{file.name}.{os.getpid()}")
    pq.write_table(table, hidden, compression="zstd", compression_level=19)
    hidden.replace(file)


def _notes(space: SearchSpace) -> dict[str, str]:
    tables = space.tables()
    return {"search space": json.dumps([tables["fixed"], tables["search"]], sort_keys=True)}
