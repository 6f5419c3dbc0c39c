"""Find and parse label files. Every error is a single line that names the file."""

from __future__ import annotations

import csv
import fnmatch
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anon_tune.errors import DataError
from anon_tune.folder import why
from anon_tune.video.folder_files import files_below

_FETCH = "Download the labels of the data set, or name their folder with --labels"
_REMEDY = "Correct the file or download it again"
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")  # all but tabs


class LabelFolder:
    """The label files of a folder and of the folders below it, found by name.

    Args:
        path: The folder, or one label file.

    Raises:
        DataError: The path does not exist.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise DataError(str(path), "must be a label file or a folder of label files", remedy="Name another")
        self.path = path
        self._by_name: dict[str, list[Path]] = {}
        for file in [path] if path.is_file() else [path / name for name in files_below(path)]:
            self._by_name.setdefault(file.name, []).append(file)

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def matching(self, pattern: str) -> list[str]:
        """Return the file names that a shell pattern matches, sorted."""
        return sorted(fnmatch.filter(self._by_name, pattern))

    def find(self, *names: str) -> Path:
        """Return the first of the named files that exists.

        Raises:
            DataError: None of them exists, or two files have the same name.
        """
        name = next((name for name in names if name in self), None)
        if name is None:
            raise DataError(str(self.path), f"no label file '{' or '.join(names)}'", remedy=_FETCH)
        found = self._by_name[name]
        if len(found) > 1:
            two = " and ".join(str(file) for file in found[:2])
            raise DataError(
                str(self.path), f"only one file may be called '{name}'", two, "Name one of them with --labels"
            )
        return found[0]


def read_lines(file: Path) -> list[str]:
    """Return the lines of a UTF-8 text file, stripped, without empty ones.

    Raises:
        DataError: The file cannot be read, is not UTF-8, or holds nothing.
    """
    lines = [line.strip() for line in _read_text(file).splitlines()]
    if not any(lines):
        raise DataError(str(file), "holds no labels", remedy=_REMEDY)
    return [line for line in lines if line]


def read_json(file: Path) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises:
        DataError: The file cannot be read, is cut off, or holds something else.
    """
    try:
        found = json.loads(_read_text(file))
    except (ValueError, RecursionError) as error:
        raise DataError(str(file), "is not valid JSON", remedy=_REMEDY, cause=why(error)) from None
    if not isinstance(found, dict):
        raise DataError(str(file), "must hold a JSON object", type(found).__name__, _REMEDY)
    return found


def read_table(file: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Return the rows of a CSV file with a header line.

    Args:
        file: UTF-8, separated by commas.
        columns: Names that the header must have; it may have more.

    Raises:
        DataError: The file cannot be read or lacks a column, or a row has more or fewer cells than the header.
    """
    try:
        # Spreadsheets leave rows of nothing but commas at the end.
        rows = [row for row in csv.reader(io.StringIO(_read_text(file)), strict=True) if any(map(str.strip, row))]
    except csv.Error as error:
        raise DataError(str(file), "is not valid CSV", remedy=_REMEDY, cause=why(error)) from None
    if bad := [cell for row in rows for cell in row if _CONTROL.search(cell.strip())]:
        rule = "a cell must be one line without control characters"
        raise DataError(str(file), rule, repr(bad[0]), _REMEDY)
    header = [name.strip() for name in rows[0]] if rows else []
    if "" in header:
        got = repr(",".join(header))
        remedy = "Name the column, or remove it if it is the index of a table"
        raise DataError(str(file), f"column {header.index('') + 1} must have a name", got, remedy)
    if missing := [name for name in columns if name not in header]:
        rule = f"the first line must name the columns {', '.join(columns)}"
        raise DataError(str(file), rule, ", ".join(header) or "nothing", f"Add '{missing[0]}'")
    if len(set(header)) < len(header):
        raise DataError(str(file), "every column must have a name of its own", ", ".join(header), _REMEDY)
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            rule = f"row {number} must have {len(header)} cells, like the first row"
            raise DataError(str(file), rule, len(row), _REMEDY)
    return [dict(zip(header, (cell.strip() for cell in row), strict=True)) for row in rows[1:]]


def as_bool(text: str, where: str) -> bool:
    """Return True for a cell of 1, and False for a cell of 0.

    Raises:
        DataError: The cell is neither.
    """
    if text not in ("0", "1"):
        raise DataError(where, "a label must be 0 or 1", text or "nothing", _REMEDY)
    return text == "1"


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")  # spreadsheets write a byte order mark first
    except UnicodeDecodeError as error:
        rule = "must be text in UTF-8"
        raise DataError(str(file), rule, f"byte {error.object[error.start]:#04x}", _REMEDY) from None
    except OSError as error:
        raise DataError(
            str(file), "cannot be read", remedy="Name another file with --labels", cause=why(error)
        ) from None
