"""Figures of the objectives: the front, and how the objectives depend on the params.

A function that has nothing to draw yet returns None, or leaves out the chart from several.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import plotly.graph_objects as go

from anon_tune.certificate import Certificate
from anon_tune.pareto import ParetoFront, attainment
from anon_tune.report.attained import attained_band
from anon_tune.report.certified_points import certified_points
from anon_tune.report.chart import BLUE, INK, LABEL, MUTED, ORANGE, PURPLE, SKY, VERMILLION, Chart, axis, better_hints
from anon_tune.report.selection import drawn_trials
from anon_tune.report.wording import NOTHING, hover, percent, shorten, text
from anon_tune.search.trained import has_trained_method
from anon_tune.trial import OBJECTIVES, Reading, Score, Trial
from anon_tune.utility_task import TASKS

_MARKS = {"identity": ("diamond", VERMILLION, "top left"), "black-out": ("square", INK, "top right")}
_SYMBOLS = {"adversarial": "circle", "trained baseline": "triangle-up", "closed-form": "cross"}
_LEAKAGE = "Leakage: cMAP of the strongest attacker"
_MOST_BARS = 300  # with more points, intervals hide each other and slow the browser down
_LOG_RATIO = 20.0  # a param with a larger ratio of highest to lowest value, and mostly low values, gets a log scale


def front_chart(
    front: ParetoFront, certificates: Mapping[str, Certificate] = MappingProxyType({}), is_normalized: bool = False
) -> Chart | None:
    """Draw leakage against accuracy: full scores with intervals, anchors, floors and ceilings, certified points.

    A line joins the point of a trial by the study to its point by its certificate.

    For a verified study, the attainment surfaces are drawn too, and trials that were measured once are hollow. For a
    large study, many points are left out, and so are the intervals of trials that are not on the front. The titles of
    the axes say so if the readings are normalized.
    """
    if not front.trials:
        return None
    ours = [t for t in drawn_trials(front) if not t.is_anchor]
    eligible = {t.id for t in front.eligible}
    on_front = [t for t in ours if front.front_ranks[t.id] == 0]
    dominated = [t for t in ours if front.front_ranks[t.id] > 0 and t.id in eligible]
    single = [t for t in ours if t.id not in eligible and t.is_feasible]
    broken = [t for t in ours if not t.is_feasible]
    members = [front.scores[t.id] for t in front.members]
    data = [
        *attained_band(attainment(front.eligible), "repeats", SKY),
        go.Scatter(
            name="Pareto front",
            x=[s.leakage.value for s in members],
            y=[s.accuracy.value for s in members],
            mode="lines",
            line={"shape": "hv", "color": BLUE, "width": 2},
            hoverinfo="skip",
        ),
        _points("breaks a constraint", broken, front, {"color": ORANGE, "size": 8}, symbol="x"),
        _points("measured once", single, front, {"color": MUTED, "size": 8}, hollow=True),
        _points("other full scores", dominated, front, {"color": MUTED, "size": 8}),
        _points("on the front", on_front, front, {"color": BLUE, "size": 11, "line": {"color": "#FFFFFF", "width": 1}}),
    ]
    data += _anchors(front)
    data += certified_points(ours, front, certificates)
    data = [trace for trace in data if trace.x is None or len(trace.x)] + _kinds_legend(ours)
    scores = [front.scores[t.id] for t in front.trials]
    reference = next((front.scores[t.id] for t in front.trials if t.method == "identity"), scores[0])

    x_range = _span([s.leakage for s in scores], [certificate.leakage for certificate in certificates.values()])
    y_range = _span([s.accuracy for s in scores], [certificate.accuracy for certificate in certificates.values()])
    num_entries = sum(trace.showlegend is not False for trace in data)

    def layout(narrow: bool) -> dict[str, Any]:
        x_title, y_title = ("Leakage", front.task.title) if narrow else (_LEAKAGE, front.task.long_title)
        x_title, y_title = (f"{title}, normalized" if is_normalized else title for title in (x_title, y_title))
        hints = better_hints(narrow, is_normalized)
        return {
            "height": 380 + 20 * num_entries if narrow else 580,  # the narrow legend has one entry per line
            "hovermode": "closest",
            "dragmode": False if narrow else "select",  # on a phone, a finger on the plot scrolls the page
            "xaxis": axis(f"{x_title}{hints[0]}", tickformat=".0%", range=x_range),
            "yaxis": axis(f"{y_title}{hints[1]}", tickformat=".0%", range=y_range),
            "shapes": _bounds(reference),
            "margin": {"l": 55, "r": 15, "t": 20, "b": 50},
        }

    return Chart(data, layout)


def _anchors(front: ParetoFront) -> list[Any]:
    anchors = []
    for trial in (t for t in front.trials if t.is_anchor):
        symbol, colour, side = _MARKS[trial.method]
        points = _points(trial.method, [trial], front, {"color": colour, "size": 13})
        points.update(mode="markers+text", text=[trial.method], textposition=side, marker={"symbol": symbol})
        points.update(showlegend=False, cliponaxis=False)  # its name is written beside the point
        anchors.append(points)
    return anchors


def _kinds_legend(trials: Sequence[Trial]) -> list[Any]:
    """Return a legend entry without points for every symbol in the plot, if there are several symbols."""
    kinds = {_kind(t) for t in trials}
    shown = [kind for kind in _SYMBOLS if kind in kinds and len(kinds) > 1]
    marker = {"color": LABEL, "size": 9}
    return [
        go.Scatter(name=kind, x=[None], y=[None], mode="markers", marker=marker | {"symbol": _SYMBOLS[kind]})
        for kind in shown
    ]


def _kind(trial: Trial) -> str:
    if trial.method == "adversarial":
        return "adversarial"
    return "trained baseline" if has_trained_method(trial) else "closed-form"


def _points(
    name: str,
    trials: Sequence[Trial],
    front: ParetoFront,
    marker: dict[str, Any],
    hollow: bool = False,
    symbol: str = "",
) -> Any:
    scores = [front.scores[t.id] for t in trials]
    symbols = [(symbol or _SYMBOLS[_kind(t)]) + ("-open" if hollow else "") for t in trials]
    barred = len(front.trials) <= _MOST_BARS or all(front.front_ranks[t.id] == 0 for t in trials)
    return go.Scatter(
        name=name,
        mode="markers",
        marker=marker | {"symbol": symbols},
        x=[s.leakage.value for s in scores],
        y=[s.accuracy.value for s in scores],
        error_x=_error_bars([s.leakage for s in scores], marker["color"]) if barred else None,
        error_y=_error_bars([s.accuracy for s in scores], marker["color"]) if barred else None,
        hovertext=[hover(t, front) for t in trials],
        hoverinfo="text",
        customdata=[t.id for t in trials],
    )


def _error_bars(readings: Sequence[Reading], colour: str) -> dict[str, Any]:
    return {
        "type": "data",
        "array": [max(r.high - r.value, 0.0) for r in readings],
        "arrayminus": [max(r.value - r.low, 0.0) for r in readings],
        "color": colour,
        "thickness": 1,
        "width": 0,
    }


def _bounds(score: Score) -> list[dict[str, Any]]:
    """Return dashed lines at floor and ceiling of both objectives."""
    lines = []
    for objective, across in zip(OBJECTIVES, ("x", "y"), strict=True):
        along = "y" if across == "x" else "x"
        for bound in ("floor", "ceiling"):
            value = getattr(getattr(score, objective.name), bound)
            if not math.isfinite(value):
                continue
            line: dict[str, Any] = {
                "type": "line",
                "layer": "below",
                "line": {"color": MUTED, "width": 1, "dash": "dash"},
            }
            line |= {f"{across}0": value, f"{across}1": value, f"{along}0": 0, f"{along}1": 1, f"{along}ref": "paper"}
            said = f"{TASKS[score.task].word(objective.name)} {bound} {percent(value)}"
            label = {"text": said, "font": {"size": 11, "color": LABEL}}
            side = "middle" if across == "x" else "start" if bound == "ceiling" else "end"
            lines.append(line | {"label": label | {"textposition": side}})
    return lines


def _span(readings: Sequence[Reading], others: Sequence[float]) -> list[float]:
    bounds = [v for r in readings for v in (r.value, r.low, r.high, r.floor, r.ceiling)]
    values = [v for v in (*bounds, *others) if math.isfinite(v)]
    return [min(values) - 0.05, max(values) + 0.05]


def parallel_chart(front: ParetoFront) -> tuple[Chart, int] | None:
    """Draw the params and both objectives of scored trials on parallel axes; return the number of axes too."""
    trials = [t for t in drawn_trials(front) if not t.is_anchor]
    names = sorted({name for t in trials for name in t.params})
    if len(trials) < 2 or not names:
        return None
    dimensions = [_dimension(name, [t.params.get(name) for t in trials]) for name in names]
    for objective in OBJECTIVES:
        values = [getattr(front.scores[t.id], objective.name).value for t in trials]
        ticks = ".0%" if max(values) - min(values) > 0.05 else ".1%"
        dimensions.append({"label": front.task.word(objective.name), "values": values, "tickformat": ticks})
    leakage = dimensions[-len(OBJECTIVES)]
    colours = {
        "color": leakage["values"],
        "colorscale": "Cividis",
        "colorbar": {"title": {"text": "leakage"}, "tickformat": leakage["tickformat"], "thickness": 12},
    }
    names_of = [t.id for t in trials]
    data = [
        go.Parcoords(dimensions=dimensions, line=colours, labelangle=-12, labelfont={"size": 12}, customdata=names_of)
    ]
    margins = {"l": 115, "r": 30, "t": 90, "b": 25}
    return Chart(data, lambda narrow: {"height": 420, "margin": margins}), len(dimensions)


def _dimension(name: str, values: Sequence[Any]) -> dict[str, Any]:
    """Return one axis. Trials without the param are at an extra tick of their own."""
    given = [v for v in values if v is not None]
    if any(isinstance(v, bool | str) for v in given):
        return _categories(name, values)
    numbers = np.array([math.nan if v is None else v for v in values], dtype=float)
    numbers[~np.isfinite(numbers)] = math.nan
    known = np.unique(numbers[~np.isnan(numbers)])
    if not len(known):
        return _categories(name, values)
    low, high = known[0], known[-1]
    log = low > 0 and high / low >= _LOG_RATIO and np.nanmedian(numbers) < low + (high - low) / 4
    if log:
        numbers, known = np.log10(numbers), np.log10(known)
    span = known[-1] - known[0] or 1.0
    ticks = known if len(known) <= 5 else np.linspace(known[0], known[-1], 5)
    labels = [f"{10**tick if log else tick:.3g}" for tick in ticks]
    if len(given) < len(values) or np.isnan(numbers).any():
        missing = known[0] - 0.15 * span
        numbers = np.where(np.isnan(numbers), missing, numbers)
        ticks, labels = np.insert(ticks, 0, missing), [NOTHING, *labels]
    label = f"{text(name)} (log)" if log else text(name)
    return {"label": label, "values": numbers.tolist(), "tickvals": ticks.tolist(), "ticktext": labels}


def _categories(name: str, values: Sequence[Any]) -> dict[str, Any]:
    # Plotly does not read HTML in these ticks, so escaped text would show its escapes.
    words = [NOTHING if v is None else str(v) for v in values]
    known = sorted(set(words))
    place = {word: index for index, word in enumerate(known)}
    return {
        "label": text(name),
        "values": [place[word] for word in words],
        "tickvals": list(range(len(known))),
        "ticktext": [shorten(word) for word in known],
        "range": [-0.3, len(known) - 0.7],
    }


def importance_charts(importance: Mapping[str, Mapping[str, float]]) -> dict[str, Chart]:
    """Draw the share of each param as bars, a chart per objective; an objective without shares is left out."""
    charts = {}
    for (objective, shares), colour in zip(importance.items(), (VERMILLION, BLUE, PURPLE, ORANGE), strict=False):
        known = sorted((share, name) for name, share in shares.items() if math.isfinite(share))
        if known:
            charts[objective] = _bars(objective, known, colour)
    return charts


def _bars(objective: str, shares: Sequence[tuple[float, str]], colour: str) -> Chart:
    bars = go.Bar(
        orientation="h",
        x=[share for share, _ in shares],
        y=[text(name) for _, name in shares],
        text=[percent(share) for share, _ in shares],
        textposition="auto",
        marker={"color": colour},
        hoverinfo="skip",
    )

    def layout(narrow: bool) -> dict[str, Any]:
        return {
            "height": 90 + 30 * len(shares),
            "title": {"text": text(objective), "x": 0, "font": {"size": 14}},
            "margin": {"l": 20, "r": 20, "t": 40, "b": 30},
            "xaxis": axis(showticklabels=False, ticks="", rangemode="tozero"),  # the shares are written on the bars
            "yaxis": axis(type="category", ticks=""),
        }

    return Chart([bars], layout)
