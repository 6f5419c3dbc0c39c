"""Draws attainment surfaces: how a front varies between several fronts of the same thing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from anon_tune.pareto import LEVELS


def attained_band(surfaces: Mapping[int, NDArray[np.float64]], whose: str, colour: str) -> list[Any]:
    """Return a band between the surfaces of the first and the last level, and a line at the middle level.

    Args:
        surfaces: Leakage and accuracy, (n, 2), by level; empty for none.
        whose: What the fronts are, in the plural.
        colour: Colour of line and band, as ``#RRGGBB``.
    """
    if not surfaces:
        return []
    right = max(surface[:, 0].max() for surface in surfaces.values())
    bottom = min(surface[:, 1].min() for surface in surfaces.values())
    best, middle, worst = (_stairs(surfaces[level], right, bottom) for level in LEVELS)
    x, y = np.concatenate([best, worst[::-1]]).T
    band = go.Scatter(
        name=f"reached by {LEVELS[0]} to {LEVELS[2]} % of {whose}",
        x=x.tolist(),
        y=y.tolist(),
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=translucent(colour),
        hoverinfo="skip",
    )
    line = go.Scatter(
        name=f"reached by half of {whose}",
        x=middle[:, 0].tolist(),
        y=middle[:, 1].tolist(),
        mode="lines",
        line={"color": colour, "width": 1.5, "dash": "dot"},
        hoverinfo="skip",
    )
    return [band, line]


def translucent(colour: str, opacity: float = 0.25) -> str:
    """Return a colour ``#RRGGBB`` as one that lets others through."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity})"


def _stairs(surface: NDArray[np.float64], right: float, bottom: float) -> NDArray[np.float64]:
    """Return the corners (n, 2) of a surface drawn as stairs, from the bottom at its left end to the right edge."""
    x, y = surface.T
    return np.column_stack([np.append(np.repeat(x, 2), right), np.insert(np.repeat(y, 2), 0, bottom)])
