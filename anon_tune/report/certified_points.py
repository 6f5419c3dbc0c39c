"""The points of certificates in the figure of the front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from anon_tune.certificate import Certificate
from anon_tune.pareto import ParetoFront
from anon_tune.report.chart import PURPLE
from anon_tune.report.wording import hover_certified
from anon_tune.trial import Trial


def certified_points(trials: Sequence[Trial], front: ParetoFront, certificates: Mapping[str, Certificate]) -> list[Any]:
    """Return the points of the certificates, and lines that join each to the point of its trial."""
    both = [(t, certificates[t.id]) for t in trials if t.id in certificates]
    lines: tuple[list[float | None], list[float | None]] = [], []
    for trial, c in both:
        score = front.scores[trial.id]
        lines[0].extend([score.leakage.value, c.leakage, None])
        lines[1].extend([score.accuracy.value, c.accuracy, None])
    joined = go.Scatter(
        x=lines[0],
        y=lines[1],
        mode="lines",
        line={"color": PURPLE, "width": 1, "dash": "dot"},
        hoverinfo="skip",
        showlegend=False,
    )
    points = go.Scatter(
        name="certified",
        mode="markers",
        marker={"color": PURPLE, "size": 11, "symbol": "star"},
        x=[c.leakage for _, c in both],
        y=[c.accuracy for _, c in both],
        hovertext=[hover_certified(t, c) for t, c in both],
        hoverinfo="text",
        customdata=[t.id for t, _ in both],
    )
    return [joined, points]
