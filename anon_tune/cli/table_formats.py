"""A table of results as Markdown, LaTeX or CSV. Names come from studies of strangers, so each format escapes them."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from anon_tune.errors import on_one_line
from anon_tune.utility_task import ACTION, TASKS

if TYPE_CHECKING:
    from anon_tune.commands.table import Figure, ResultTable, TableRow

_NOTHING = "-"
_HEADS = (
    "study",
    "method",
    "trial",
    "{metric} %",
    "{metric} floor to ceiling",
    "cMAP %",
    "cMAP floor to ceiling",
    "normalized leakage",
    "macro F1",
    "always-yes F1",
    "measured",
)
_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", '"': "''", "`": "'"}
_LATEX |= {"<": "$<$", ">": "$>$", "|": "$|$", "[": "{[}", "]": "{]}"}  # [ after \\ would be an optional argument
_LATEX |= {one: f"\\{one}" for one in "&%$#_{}"}


def markdown(table: ResultTable) -> str:
    """Return a pipe table of GitHub's Markdown, with footnotes below."""
    heads, *rows = _grid(table, _markdown_text, "<sup>{}</sup>")
    rules = [{"l": "---", "r": "---:"}[side] for side in _sides(heads)]
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, rules, *rows)]
    numbered = [f"<sup>{n}</sup> {_markdown_text(note)}" for n, note in enumerate(table.footnotes, 1)]
    return "\n".join([*lines, *(f"\n{note}" for note in [*map(_markdown_text, table.notes), *numbered])]) + "\n"


def latex(table: ResultTable) -> str:
    """Return a ``table*`` environment with footnotes below the rows.

    It needs no package. If the document loads graphicx, the table is as wide as the page.
    """
    rows = [" & ".join(cells) + r" \\" for cells in _grid(table, _latex_text, "$^{{{}}}$")[1:]]
    heads = [" & ".join(map(_latex_text, line)) + r" \\" for line in zip(*map(_halves, _heads(table)), strict=True)]
    numbered = [f"$^{{{n}}}$ {_latex_text(note)}" for n, note in enumerate(table.footnotes, 1)]
    lines = [r"\begin{table*}", r"\centering", r"\scriptsize", r"\setlength{\tabcolsep}{3pt}"]
    lines += [r"\providecommand{\resizebox}[3]{#3}", r"\resizebox{\textwidth}{!}{%"]
    lines += [rf"\begin{{tabular}}{{{_sides(_heads(table))}}}", r"\hline", *heads, r"\hline", *rows, r"\hline"]
    lines += [r"\end{tabular}}"]
    lines += [rf"\par\smallskip\raggedright {note}" for note in [*map(_latex_text, table.notes), *numbered]]
    return "\n".join([*lines, r"\end{table*}"]) + "\n"


def csv_text(table: ResultTable) -> str:
    """Return CSV with fractions in [0, 1]; unknown values are empty. Notes of a row are in its last column."""
    text = io.StringIO()
    names = ["study", "method", "trial", *_figure_names("accuracy"), *_figure_names("leakage")]
    names += ["leakage_normalized", "macro_f1", "always_yes_f1", "measured", "notes"]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for row in table.rows:
        numbers = [*_parts(row.accuracy), *_parts(row.leakage), row.leakage_normalized, row.f1, row.f1_always_yes]
        known = [round(value, 6) if math.isfinite(value) else "" for value in numbers]
        writer.writerow([row.study, row.method, row.trial, *known, row.measured, " ".join(row.notes)])
    return text.getvalue()


def _heads(table: ResultTable) -> tuple[str, ...]:
    """Return the names of the columns; a table of one study needs no column for its name."""
    heads = _HEADS if len({row.study for row in table.rows}) > 1 else _HEADS[1:]
    metric = " or ".join(dict.fromkeys(TASKS[row.task].metric for row in table.rows)) or ACTION.metric
    return tuple(head.format(metric=metric) for head in heads)


def _halves(head: str) -> tuple[str, str]:
    """Break the name of a column into two lines, so that it is no wider than its values."""
    words = head.split()
    half = len(words) // 2 if len(words) > 1 and "%" not in words else len(words)
    return " ".join(words[:half]), " ".join(words[half:])


def _sides(heads: Sequence[str]) -> str:
    """Return ``l`` for columns of words and ``r`` for columns of numbers."""
    return "".join("l" if head in ("study", "method", "trial", "measured") else "r" for head in heads)


def _grid(table: ResultTable, text: Callable[[str], str], mark: str) -> list[list[str]]:
    """Return the cells of all rows, the names of the columns first."""
    heads = _heads(table)
    place = {note: n for n, note in enumerate(table.footnotes, 1)}
    grid = [list(map(text, heads))]
    for row in table.rows:
        marks = mark.format(",".join(str(place[note]) for note in row.notes)) if row.notes else ""
        cells = [text(row.study), text(row.method) + marks, text(row.trial or _NOTHING)]
        grid.append([*cells, *map(text, _numbers(row)), text(row.measured)][-len(heads) :])
    return grid


def _numbers(row: TableRow) -> list[str]:
    cells = [part for figure in (row.accuracy, row.leakage) for part in (_percent(figure), _span(figure))]
    fractions = ((row.leakage_normalized, 2), (row.f1, 3), (row.f1_always_yes, 3))
    return [*cells, *(_fixed(value, digits) for value, digits in fractions)]


def _percent(figure: Figure) -> str:
    value = _fixed(100 * figure.value, 1)
    return (
        value if math.isnan(figure.low) else f"{value} ({_fixed(100 * figure.low, 1)}, {_fixed(100 * figure.high, 1)})"
    )


def _span(figure: Figure) -> str:
    return f"{_fixed(100 * figure.floor, 1)} to {_fixed(100 * figure.ceiling, 1)}"


def _fixed(value: float, digits: int) -> str:
    return f"{value:z.{digits}f}" if math.isfinite(value) else _NOTHING


def _parts(figure: Figure) -> Sequence[float]:
    return figure.value, figure.low, figure.high, figure.floor, figure.ceiling


def _figure_names(name: str) -> list[str]:
    return [name, *(f"{name}_{part}" for part in ("low", "high", "floor", "ceiling"))]


def _markdown_text(text: str) -> str:
    shown = re.sub(r"([\\`*_\[\]|~$])", r"\\\1", on_one_line(text))
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _latex_text(text: str) -> str:
    return "".join(_LATEX.get(one, one) for one in on_one_line(text))
