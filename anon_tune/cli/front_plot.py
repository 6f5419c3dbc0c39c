"""A small plot of a front in plain characters, for a terminal, a log or a pipe."""

from __future__ import annotations

import math
from collections.abc import Sequence

from anon_tune.commands.front_marks import FrontPoint, Mark
from anon_tune.utility_task import ACTION, UtilityTask

WIDTH, _HEIGHT = 60, 10
_SIGNS = {Mark.OTHER: ".", Mark.BLACK_OUT: "B", Mark.IDENTITY: "I", Mark.FRONT: "o"}  # later ones hide earlier ones
_NAMES = {"o": "on the front", ".": "other trials", "I": "identity", "B": "black-out"}
_EDGE = 7  # columns to the left of the plot


def plot_front(points: Sequence[FrontPoint], split: str, width: int = WIDTH, task: UtilityTask = ACTION) -> str:
    """Draw the objective of a task over leakage; empty if there is no point of a trial or only one point.

    Args:
        points: The points; those that are not finite are left out.
        split: The split that they were measured on, for the title.
        width: Columns, at least 40.
        task: The utility task.
    """
    known = [p for p in points if math.isfinite(p.leakage) and math.isfinite(p.accuracy)]
    if len(known) < 2 or all(p.mark in (Mark.IDENTITY, Mark.BLACK_OUT) for p in known):
        return ""
    left, right = _span([p.leakage for p in known])
    low, high = _span([p.accuracy for p in known])
    columns = max(width, 40) - _EDGE
    cells = [[" "] * columns for _ in range(_HEIGHT)]
    order = list(_SIGNS)
    for point in sorted(known, key=lambda p: order.index(p.mark)):
        column = round((point.leakage - left) / (right - left) * (columns - 1))
        row = round((high - point.accuracy) / (high - low) * (_HEIGHT - 1))
        cells[row][column] = _SIGNS[point.mark]
    edges = {0: f"{high:.0%}", _HEIGHT - 1: f"{low:.0%}"}
    rows = [f"{edges.get(at, ''):>{_EDGE - 2}} |{''.join(row)}".rstrip() for at, row in enumerate(cells)]
    ends = f"{left:.0%}", f"{right:.0%}"
    middle = "leakage".center(columns - len(ends[0]) - len(ends[1]))
    shown = {sign for row in cells for sign in row}
    legend = ", ".join(f"{sign} {name}" for sign, name in _NAMES.items() if sign in shown)
    return "\n".join(
        [
            f"{task.objective} over leakage ({split} split)",
            *rows,
            " " * (_EDGE - 1) + "+" + "-" * columns,
            " " * _EDGE + ends[0] + middle + ends[1],
            legend,
        ]
    )


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Return the whole percents around the values, at least one percent apart."""
    low, high = math.floor(min(values) * 100) / 100, math.ceil(max(values) * 100) / 100
    return (low, high) if high > low else (low, low + 0.01)
