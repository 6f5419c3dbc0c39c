"""Figures of several studies: their fronts, and their hypervolume over cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from anon_tune.pareto import GrowthPoint, attainment_surfaces, growth
from anon_tune.report.attained import attained_band, translucent
from anon_tune.report.chart import CYCLE, Chart, axis, better_hints
from anon_tune.report.comparison import ComparedStudy, common_reference, repeating
from anon_tune.report.front_section import normalized_front
from anon_tune.report.selection import drawn_trials
from anon_tune.report.wording import hover, text
from anon_tune.trial import losses

_HOUR = 3600
_GRID = 200


def fronts_chart(studies: Sequence[ComparedStudy], is_normalized: bool = False) -> Chart | None:
    """Draw the fronts of several studies, and attainment surfaces where studies repeat each other."""
    if not any(one.front.trials for one in studies):
        return None
    data: list[Any] = []
    for group, colour in _coloured(studies):
        data += _surfaces(group, colour, is_normalized)
    for index, one in enumerate(studies):
        data += _points(one, CYCLE[index % len(CYCLE)], is_normalized)
    said = ", normalized" if is_normalized else ""
    title = " or ".join(dict.fromkeys(one.front.task.title for one in studies if one.front.trials))

    def layout(narrow: bool) -> dict[str, Any]:
        hints = better_hints(narrow, is_normalized)
        return {
            "height": 380 + 20 * len(data) if narrow else 560,
            "hovermode": "closest",
            "xaxis": axis(f"Leakage{said}{hints[0]}", tickformat=".0%"),
            "yaxis": axis(f"{title}{said}{hints[1]}", tickformat=".0%"),
        }

    return Chart(data, layout)


def _coloured(studies: Sequence[ComparedStudy]) -> list[tuple[list[ComparedStudy], str]]:
    """Return the groups of studies that repeat each other, each with the colour of its first study."""
    order = {one.name: index for index, one in enumerate(studies)}
    return [(group, CYCLE[order[group[0].name] % len(CYCLE)]) for group in repeating(studies)]


def _surfaces(group: Sequence[ComparedStudy], colour: str, is_normalized: bool) -> list[Any]:
    fronts = []
    for one in group:
        front = normalized_front(one.front) if is_normalized else one.front
        scores = [front.scores[t.id] for t in front.members if not t.is_anchor]
        fronts.append(np.array([losses(s.leakage.value, s.accuracy.value) for s in scores]))
    if len(fronts) < 2 or not all(len(rows) and np.isfinite(rows).all() for rows in fronts):
        return []
    whose = f"{len(group)} studies like {group[0].name}"
    return attained_band(attainment_surfaces(fronts), text(whose), colour)


def _points(one: ComparedStudy, colour: str, is_normalized: bool) -> list[Any]:
    front = normalized_front(one.front) if is_normalized else one.front
    name = text(one.name)
    found: list[Any] = []
    for is_front in (False, True):
        trials = [t for t in drawn_trials(front) if not t.is_anchor and (front.front_ranks[t.id] == 0) is is_front]
        trials.sort(key=lambda t: front.scores[t.id].leakage.value)
        scores = [front.scores[t.id] for t in trials]
        if scores:
            points = go.Scatter(
                name=name,
                legendgroup=name,
                showlegend=is_front,
                mode="lines+markers" if is_front else "markers",
                line={"shape": "hv", "color": colour, "width": 1.5},
                marker={"color": colour, "size": 9 if is_front else 5, "opacity": 1 if is_front else 0.35},
                x=[s.leakage.value for s in scores],
                y=[s.accuracy.value for s in scores],
                hovertext=[f"{name}<br>{hover(t, one.front)}" for t in trials],
                hoverinfo="text",
                customdata=[t.id for t in trials],
                meta=one.shown.media.page,
            )
            found.append(points)
    return found


def growth_chart(studies: Sequence[ComparedStudy]) -> Chart | None:
    """Draw hypervolume over cost: a line per study, and a band and a middle line where studies repeat each other.

    All are measured against the same reference point. Cost is hours of GPUs or CPUs, if every study knows them, else
    the number of trials.
    """
    reference = common_reference(studies)
    grown = {one.name: growth(one.shown.trials, reference) for one in studies}
    last = [entries[-1] for entries in grown.values() if entries]
    if not last or reference is None:
        return None
    title, cost_of = "Trials ended", _trials
    if all(entry.cost.gpu_s for entry in last):
        title, cost_of = "GPU-hours of ended trials", _gpu_hours
    elif all(entry.cost.cpu_s for entry in last):
        title, cost_of = "CPU-hours of ended trials", _cpu_hours
    data: list[Any] = []
    for group, colour in _coloured(studies):
        curves = [([cost_of(e) for e in grown[o.name]], [e.hypervolume for e in grown[o.name]]) for o in group]
        data += _growth_band([curve for curve in curves if curve[0]], group, colour)
    for index, one in enumerate(studies):
        entries = grown[one.name]
        line = go.Scatter(
            name=text(one.name),
            x=[cost_of(entry) for entry in entries],
            y=[entry.hypervolume for entry in entries],
            mode="lines",
            line={"shape": "hv", "color": CYCLE[index % len(CYCLE)], "width": 1.5},
            hovertemplate=f"{text(one.name)}: %{{x:.4g}}, %{{y:.4f}}<extra></extra>",
        )
        data.append(line)
    axes = {"xaxis": axis(title, rangemode="tozero"), "yaxis": axis("Hypervolume", rangemode="tozero")}
    return Chart(data, lambda narrow: {"height": 300 + 20 * len(data) if narrow else 400, **axes})


def _trials(entry: GrowthPoint) -> float:
    return entry.num_trials


def _gpu_hours(entry: GrowthPoint) -> float:
    return entry.cost.gpu_s / _HOUR


def _cpu_hours(entry: GrowthPoint) -> float:
    return entry.cost.cpu_s / _HOUR


def _growth_band(
    curves: Sequence[tuple[list[float], list[float]]], group: Sequence[ComparedStudy], colour: str
) -> list[Any]:
    """Return a band from the lowest to the highest of several curves, as far as all of them reach."""
    if len(curves) < 2:
        return []
    grid = np.linspace(0, min(x[-1] for x, _ in curves), _GRID)
    at = [np.searchsorted(x, grid, side="right") for x, _ in curves]
    values = np.array([np.asarray([0.0, *y])[where] for (_, y), where in zip(curves, at, strict=True)])
    low, high = values.min(axis=0), values.max(axis=0)
    band = go.Scatter(
        name=text(f"lowest to highest of {len(group)} studies like {group[0].name}"),
        x=[*grid.tolist(), *grid[::-1].tolist()],
        y=[*high.tolist(), *low[::-1].tolist()],
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=translucent(colour, 0.18),
        hoverinfo="skip",
    )
    return [band]
