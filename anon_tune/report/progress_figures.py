"""Figures of the hypervolume over trials, seconds and cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from anon_tune.pareto import GrowthPoint, growth
from anon_tune.report.chart import BLUE, Chart, axis, whole_steps
from anon_tune.report.selection import MOST_POINTS
from anon_tune.trial import Trial

_HOUR = 3600


def progress_charts(trials: Sequence[Trial]) -> dict[str, Chart]:
    """Draw hypervolume over trials, over seconds and, if they are known, over hours and money spent.

    Hours are GPU-hours if any trial used a GPU, otherwise CPU-hours. The result is empty while no trial has ended.
    """
    entries = growth(trials)
    if not entries:
        return {}
    shown = _steps(entries)
    counts = [e.num_trials for e in shown]
    charts = {
        "progress-trials": _chart(shown, counts, "Trials ended", **whole_steps(counts[-1])),
        "progress-seconds": _chart(shown, [e.seconds for e in shown], "Seconds since the first record"),
    }
    spent = entries[-1].cost
    if spent.gpu_s:
        charts["progress-hours"] = _chart(shown, [e.cost.gpu_s / _HOUR for e in shown], "GPU-hours of ended trials")
    elif spent.cpu_s:
        charts["progress-hours"] = _chart(shown, [e.cost.cpu_s / _HOUR for e in shown], "CPU-hours of ended trials")
    if spent.money:
        charts["progress-money"] = _chart(shown, [e.cost.money for e in shown], "Money spent on ended trials")
    return charts


def _steps(entries: Sequence[GrowthPoint]) -> list[GrowthPoint]:
    """Leave out, of many, the entries at which the line only goes on level."""
    if len(entries) <= MOST_POINTS:
        return list(entries)
    before = [None, *(entry.hypervolume for entry in entries)]
    steps = [entry for entry, last in zip(entries, before, strict=False) if entry.hypervolume != last]
    return [*steps, entries[-1]]


def _chart(entries: Sequence[GrowthPoint], x: Sequence[float], title: str, **x_axis: Any) -> Chart:
    line = go.Scatter(
        x=list(x),
        y=[entry.hypervolume for entry in entries],
        mode="lines+markers",
        line={"shape": "hv", "color": BLUE, "width": 2},
        marker={"size": 4},
        hovertemplate="%{x}: %{y:.4f}<extra></extra>",
    )
    axes = {"xaxis": axis(title, rangemode="tozero", **x_axis), "yaxis": axis("Hypervolume", rangemode="tozero")}
    return Chart([line], lambda narrow: {"height": 280 if narrow else 320, **axes})
