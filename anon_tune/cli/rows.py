"""Rows of text for a terminal of any width: a table where it fits, else a few lines for each row. No cell is cut."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence

from anon_tune.errors import on_one_line

_GAP = "  "


def terminal_width() -> int | None:
    """Return the number of columns of the terminal on stdout; None for a file or a pipe, which has no width to fit."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def wrapped(line: str, width: int | None) -> str:
    """Break a sentence at spaces so that it fits; `width` as for `lay_out`."""
    return line if width is None else "\n".join(_wrap(line, width))


def lay_out(heads: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> str:
    """Lay out rows of cells.

    Args:
        heads: Names of the columns.
        rows: Cells of text. Only cells of the last column may be broken, at spaces. What is no visible character in
            them is replaced.
        width: Columns of the terminal; None for no limit.
    """
    rows = [[on_one_line(cell) for cell in row] for row in rows]
    *widths, longest = (max(map(len, column)) for column in zip(heads, *rows, strict=True))
    words = [word for row in (heads, *rows) for word in row[-1].split()]
    left = sum(widths) + len(_GAP) * len(widths)
    if width is not None and left + max(map(len, words), default=0) > width:
        return "\n".join(line for row in rows for line in _block(heads, row, width))
    room = longest if width is None else width - left
    return "\n".join(line for row in (heads, *rows) for line in _line(row, widths, room))


def _line(row: Sequence[str], widths: Sequence[int], room: int) -> list[str]:
    start = "".join(cell.ljust(width) + _GAP for cell, width in zip(row[:-1], widths, strict=True))
    parts = _wrap(row[-1], max(room, 1)) or [""]
    return [(start + parts[0]).rstrip(), *(" " * len(start) + part for part in parts[1:])]


def _block(heads: Sequence[str], row: Sequence[str], width: int) -> list[str]:
    """Return the first cell as a heading, and below it every other cell that is not empty with its column's name."""
    named = (f"{head} {cell}" for head, cell in zip(heads[1:], row[1:], strict=True) if cell)
    return [f"{heads[0]} {row[0]}", *(_GAP + line for cell in named for line in _wrap(cell, width - len(_GAP)))]


def _wrap(text: str, width: int) -> list[str]:
    """Break text at spaces only. A word that is too long stays whole, and the terminal breaks it."""
    return textwrap.wrap(text, max(width, 1), break_long_words=False, break_on_hyphens=False)
