"""The colours and layout that all figures share, and the JSON in which the page holds a figure."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

# The colours of Okabe and Ito, which people with any common colour blindness can tell apart.
BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, INK, MUTED = "#56B4E9", "#CC79A7", "#1F2933", "#8A94A0"
LABEL = "#5F6B76"
CYCLE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, INK)

FONT = {"family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", "size": 13, "color": INK}
LEGEND = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
_AXIS = {
    "gridcolor": "#E8EBEF",
    "linecolor": "#C5CCD3",
    "zeroline": False,
    "ticks": "outside",
    "tickcolor": "#C5CCD3",
    "automargin": True,
}


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure with two layouts, for a wide window and for a phone.

    Attributes:
        data: Traces of Plotly.
        layout: Returns Plotly's layout; its argument is True for the narrow one.
    """

    data: Sequence[Any]
    layout: Callable[[bool], dict[str, Any]]

    def json(self, normalized: Chart | None = None) -> str:
        """Return the figure as JSON with the keys ``data``, ``wide`` and ``narrow``, safe inside a script element.

        Args:
            normalized: The same figure on other axes, with the same traces and points. It gets the key ``normalized``.
                Its hover texts are left out, because they are those of this figure.
        """
        spec = self._spec()
        if normalized is not None:
            other = normalized._spec()
            for trace in other["data"]:
                trace.pop("hovertext", None)
            spec["normalized"] = other
        return json.dumps(spec, allow_nan=False).replace("<", "\\u003c")

    def _spec(self) -> dict[str, Any]:
        # Plotly checks traces. It takes 20 ms to check layouts, too long for a click; a test has it check them all.
        data = json.loads(go.Figure(self.data).to_json())["data"]
        return {"data": data, "wide": _layout(self.layout(False)), "narrow": _layout(self.layout(True))}


def axis(title: str = "", **settings: Any) -> dict[str, Any]:
    """Return the settings of an axis, in the style that all figures share."""
    return _AXIS | {"title": {"text": title, "standoff": 12}} | settings


def whole_steps(most: int) -> dict[str, Any]:
    """Return settings for an axis of counts, so that a short one has no ticks between whole numbers."""
    return {"dtick": 1} if most <= 10 else {}


def better_hints(narrow: bool, is_normalized: bool) -> tuple[str, str]:
    """Return what the titles of the axes of leakage and accuracy end in; nothing where there is no room for it."""
    return ("", "") if narrow and is_normalized else (" (lower is better)", " (higher is better)")


def _layout(own: dict[str, Any]) -> dict[str, Any]:
    common = {
        "template": {},
        "font": FONT,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "#FFFFFF",
        "margin": {"l": 60, "r": 20, "t": 20, "b": 50},
        "hoverlabel": {"align": "left", "bgcolor": "#FFFFFF", "bordercolor": MUTED, "font": FONT},
        "legend": LEGEND,
        "modebar": {"bgcolor": "rgba(128,128,128,0)", "color": MUTED, "activecolor": LABEL},
    }
    return common | own
