"""Figures of how trials went: how many passed each rung, and their training losses.

A chart is None while there is nothing to draw.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from anon_tune.pareto import ParetoFront
from anon_tune.report.chart import CYCLE, GREEN, LEGEND, MUTED, ORANGE, SKY, VERMILLION, Chart, axis, whole_steps
from anon_tune.report.selection import MOST_CARDS
from anon_tune.report.wording import text
from anon_tune.search.trained import has_trained_method
from anon_tune.trial import LossPoint, Trial, TrialState

_FATES = {
    "went on": SKY,
    "complete": GREEN,
    "stopped here": ORANGE,
    "failed after this": VERMILLION,
    "under way": MUTED,
}
_FINAL_FATE = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "stopped here",
    TrialState.FAILED: "failed after this",
}
_DASHES = ("solid", "dash", "dot", "dashdot")
_MOST_OTHERS = 40
_MOST_TERMS = 12


def rungs_chart(trials: Sequence[Trial]) -> Chart | None:
    """Draw how many trained trials were measured at each rung, and how many went on or were stopped there."""
    trained = [t for t in trials if has_trained_method(t)]
    if not trained:
        return None
    steps = {report.rung: report.step for t in trained for report in t.reports}
    levels = ["proposed"] + [f"rung {rung} (step {steps[rung]})" for rung in sorted(steps)]
    place = {rung: index for index, rung in enumerate(sorted(steps), start=1)}
    counts: Counter[tuple[str, int]] = Counter()
    for trial in trained:
        reached = [0] + [place[report.rung] for report in trial.reports]
        counts.update(("went on", level) for level in reached[:-1])
        counts[_FINAL_FATE.get(trial.state, "under way"), reached[-1]] += 1
    data = []
    for fate, colour in _FATES.items():
        widths = [counts[fate, level] for level in range(len(levels))]
        if any(widths):
            labels = [str(width or "") for width in widths]
            bar = go.Bar(name=fate, orientation="h", y=levels, x=widths, text=labels, marker={"color": colour})
            data.append(bar.update(textposition="inside", insidetextanchor="middle", hoverinfo="name+x"))

    def layout(narrow: bool) -> dict[str, Any]:
        return {
            "barmode": "stack",
            "legend": LEGEND | {"traceorder": "normal"},
            "height": 140 + 48 * len(levels) + (40 if narrow else 0),
            "xaxis": axis("Trials", rangemode="tozero", **whole_steps(len(trained))),
            "yaxis": axis(autorange="reversed", type="category", ticks=""),
        }

    return Chart(data, layout)


def loss_chart(trials: Sequence[Trial], front: ParetoFront) -> Chart | None:
    """Draw training losses over steps for the front and at most 40 other trials. The legend shows and hides a trial.

    The other trials are those with the best front ranks, and among equal front ranks the newest. Of a large front, the
    newest trials are drawn.
    """
    drawn = [t for t in trials if any(report.curve for report in t.reports)]
    if not drawn:
        return None
    worst = len(trials)
    drawn.sort(key=lambda t: (front.front_ranks.get(t.id, worst), -t.number))
    num_front = min(sum(front.front_ranks.get(t.id) == 0 for t in drawn), MOST_CARDS)
    drawn = drawn[: num_front + _MOST_OTHERS]
    terms = _terms(drawn)
    data = []
    for index, trial in enumerate(sorted(drawn, key=lambda t: t.number)):
        shown = front.front_ranks.get(trial.id) == 0 or (num_front == 0 and index < len(CYCLE))
        data += _lines(trial, terms, index, shown)
    return Chart(data, lambda narrow: _plots(terms, narrow))


def trial_losses(trial: Trial) -> Chart | None:
    """Draw the training losses of one trial over steps; None if it was not trained."""
    if not any(report.curve for report in trial.reports):
        return None
    terms = _terms([trial])
    lines = _lines(trial, terms, 0, shown=True)
    for line in lines:
        line.update(showlegend=False)
    height = {"height": 190 * len(terms)}
    return Chart(lines, lambda narrow: _plots(terms, True) | height)


def _terms(trials: Sequence[Trial]) -> list[str]:
    """Return the names of at most 12 loss terms of these trials; those that most trials have come first."""
    names = [name for t in trials for name in _first_point(t).terms]
    return [name for name, _ in Counter(names).most_common(_MOST_TERMS)]


def _first_point(trial: Trial) -> LossPoint:
    return next(point for report in trial.reports for point in report.curve)


def _lines(trial: Trial, terms: Sequence[str], index: int, shown: bool) -> list[Any]:
    """Return one line per term; the lines of a trial share a legend entry."""
    curve = [point for report in trial.reports for point in report.curve]
    steps = [point.step for point in curve]
    dash = _DASHES[index // len(CYCLE) % len(_DASHES)]
    return [
        go.Scatter(
            name=text(trial.id),
            legendgroup=text(trial.id),
            showlegend=plot == 1,
            visible=True if shown else "legendonly",
            x=steps,
            y=[_finite(point.terms.get(term)) for point in curve],
            mode="lines",
            line={"color": CYCLE[index % len(CYCLE)], "width": 1.6, "dash": dash},
            xaxis=f"x{plot}",
            yaxis=f"y{plot}",
            hovertemplate=f"<b>{text(trial.id)}</b> step %{{x}}: %{{y:.4g}}<extra></extra>",
        )
        for plot, term in enumerate(terms, start=1)
    ]


def _finite(value: float | None) -> float | None:
    """Return a finite value, or None if there is none to draw."""
    return value if value is not None and math.isfinite(value) else None


def _plots(terms: Sequence[str], narrow: bool) -> dict[str, Any]:
    """Return a layout with one plot per term, in two columns, or in one if it is narrow."""
    columns = 1 if narrow else 2
    rows = math.ceil(len(terms) / columns)
    layout: dict[str, Any] = {"height": (275 if narrow else 310) * rows, "hovermode": "closest"}
    layout["legend"] = {"orientation": "h", "y": -0.1} if narrow else {"orientation": "v", "x": 1.02, "y": 1}
    height, gap = 1 / rows, 0.07 / rows
    for index, term in enumerate(terms):
        row, column = divmod(index, columns)
        x_domain = [column * 0.54, column * 0.54 + 0.46] if columns == 2 else [0, 1]
        y_domain = [1 - (row + 1) * height + gap, 1 - row * height - gap]
        last = index + columns >= len(terms)
        number = str(index + 1) if index else ""  # Plotly knows the first pair of axes without a number
        layout[f"xaxis{number}"] = axis("Step" if last else "", anchor=f"y{number}", domain=x_domain)
        layout[f"yaxis{number}"] = axis(text(term.capitalize()), anchor=f"x{number}", domain=y_domain)
    return layout
