"""The files of a ledger, called parts: one per record at first, later merged into blocks of 64 and of 4096 records.

``00000005.parquet`` holds record 5, ``00000064-00000127.parquet`` holds records 64 to 127. Once the last record of an
aligned block of 64 or 4096 is written, the parts inside the block are merged into one. Each record is therefore written
at most three times, and 40,000 records lie in about 120 files. Merging larger blocks would need much memory.

A crash can leave a hidden file, which readers ignore and the next writer removes. It can also leave a merged part
beside its originals. Then readers count every record once, and the next writer removes the originals. An original is
removed only after the merged part that holds its records is on disk.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from anon_tune.errors import StudyError
from anon_tune.folder import Folder, is_gone, kind_of, why
from anon_tune.ledger.record import SCHEMA
from anon_tune.study_directory import LEDGER_PART

_SIZES = (64, 64**2)
_HIDDEN = re.compile(r"\.[0-9]+(?:-[0-9]+)?\.parquet\.[0-9]+")
_MOST_LISTINGS = 10  # these take about 25 s with the waits between them, longer than NFS shows a stale listing


class LedgerPart(NamedTuple):
    """A file and the records that its name promises, first and last included."""

    first: int
    last: int
    name: str


def list_parts(folder: Folder) -> list[LedgerPart]:
    """Return what lies in the folder, by first record; a larger part comes before one that starts with it."""
    found = [match for name in folder.names() if (match := LEDGER_PART.fullmatch(name))]
    parts = [LedgerPart(int(match[1]), int(match[2] or match[1]), match[0]) for match in found]
    return sorted(parts, key=lambda part: (part.first, -part.last))


def read_parts(folder: Folder) -> pa.Table:
    """Read every record once, in order, also while another process appends and merges.

    A merge may finish after the folder was listed. Then a listed file is gone, or records are missing, and the folder
    is listed again. Records that stay missing are no error: somebody removed their file.

    Raises:
        StudyError: A file with the name of a part is not a ledger file, or it cannot be read.
        UnreachableError: The store that holds the folder does not answer.
    """
    read: dict[str, pa.Table] = {}
    known_holes = -1
    for attempt in range(_MOST_LISTINGS):
        gone = ""
        for part in list_parts(folder):
            try:
                if part.name not in read:
                    read[part.name] = read_part(folder, part.name)
            except OSError as error:
                if not is_gone(error):
                    kind, where = kind_of(error, folder, StudyError), f"{folder}/{part.name}"
                    remedy = "Check permissions and connection, then try again"
                    raise kind(where, "cannot be read", remedy=remedy, cause=why(error)) from None
                gone = f"{folder}/{part.name}"  # read on, so that the next attempt has less to read than a merge takes
        if not gone:
            table = _joined(read.values())
            last = table["record"][-1].as_py() if len(table) else -1
            holes = last + 1 - len(table)
            if holes in (0, known_holes):
                return table
            known_holes = holes
        elif attempt:  # the first time, a merge is the likely cause and its result is there, so no wait is needed
            time.sleep(0.05 * 2**attempt)
    remedy = "Check that the file system works, then try again"
    raise StudyError(gone or str(folder), "is listed but cannot be opened", remedy=remedy)


def read_part(folder: Folder, name: str) -> pa.Table:
    """Return the records of one part, with the columns of the present schema.

    Raises:
        StudyError: The file is not a ledger file.
        OSError: The file cannot be opened.
    """
    remedy = "Move it away and try again"
    content, path = folder.read(name), f"{folder}/{name}"  # read at once, because a merge may remove the file any time
    try:
        with pq.ParquetFile(pa.BufferReader(content)) as file:  # takes half the time of read_table for a small file
            table = _in_schema(file.read(use_threads=False))
    except (OSError, pa.ArrowException) as error:
        raise StudyError(path, "not a ledger file", remedy=remedy, cause=why(error)) from None
    if table["record"].null_count or not len(table):
        raise StudyError(path, "not a ledger file", remedy=remedy)
    return table


def prepare_writing(folder: Folder) -> int:
    """Remove hidden files that an earlier writer left, merge full blocks, and return the number of the next record.

    Raises:
        OSError: The folder cannot be listed or cleaned.
    """
    for name in folder.names():
        if _HIDDEN.fullmatch(name):
            folder.remove(name)
    next_record = max((part.last for part in list_parts(folder)), default=-1) + 1
    _compact(folder, next_record)
    return next_record


def add_record(folder: Folder, record: pa.Table) -> None:
    """Write one record, and merge the blocks that it fills.

    The record is on disk when the call returns. A merge that fails, for example on a full disk, is tried again later.

    Raises:
        OSError: The record cannot be written; no file is left behind.
    """
    _write_part(folder, record)
    next_record = record["record"][0].as_py() + 1
    if next_record % _SIZES[0] == 0:
        _compact(folder, next_record)


def _compact(folder: Folder, next_record: int) -> None:
    """Merge the parts of every block that ends before the next record, smaller blocks first.

    If a block cannot be read or written, its parts stay as they are. A study must not end because of that: the records
    are safe in the smaller parts, a reader reports a damaged part, and the next merge tries again.
    """
    for size in _SIZES:
        blocks: dict[int, list[str]] = {}
        for part in list_parts(folder):
            block = part.first // size
            if part.last // size == block and (block + 1) * size <= next_record:
                blocks.setdefault(block, []).append(part.name)
        for names in blocks.values():
            if len(names) > 1:
                with contextlib.suppress(OSError, StudyError):
                    _merge(folder, names)


def _merge(folder: Folder, names: list[str]) -> None:
    tables = {name: read_part(folder, name) for name in names}
    merged = _joined(tables.values())
    # After a crash during a merge, the merged part may be there but not safely on disk, so it is written again.
    kept = _write_part(folder, merged)
    for name in names:  # lowest record first, so that a reader with an old listing notices that a file is gone
        if name != kept:
            folder.remove(name)


def _write_part(folder: Folder, table: pa.Table) -> str:
    """Write records as one part, named after the first and the last record, and return the name."""
    first, last = table["record"][0].as_py(), table["record"][-1].as_py()
    name = f"{first:08d}.parquet" if first == last else f"{first:08d}-{last:08d}.parquet"
    content = pa.BufferOutputStream()
    several = len(table) > 1
    # For a single record, the dictionary and the statistics would be larger than the record.
    pq.write_table(table, content, use_dictionary=several, write_statistics=several)
    folder.write(name, content.getvalue().to_pybytes())
    return name


def _joined(tables: Iterable[pa.Table]) -> pa.Table:
    """Return every record once, in order."""
    whole = pa.concat_tables([SCHEMA.empty_table(), *tables])
    records, places = np.unique(whole["record"].to_numpy(), return_index=True)
    in_order = len(records) == len(whole) and bool((np.diff(places) > 0).all())
    return whole if in_order else whole.take(places)


def _in_schema(table: pa.Table) -> pa.Table:
    """Return a table with all columns of the present schema; those that it lacks are null."""
    if table.schema.equals(SCHEMA):  # nearly always, and 50 casts take a fifth of the reading of a small file
        return table
    names = set(table.column_names)
    columns = [table[f.name].cast(f.type) if f.name in names else pa.nulls(len(table), f.type) for f in SCHEMA]
    return pa.table(columns, schema=SCHEMA)
