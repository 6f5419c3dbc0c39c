"""Puts charts into a page: an empty element, and beside it the chart as JSON for the script of the page."""

from __future__ import annotations

from collections.abc import Mapping

from anon_tune.report.chart import Chart


def chart_html(
    key: str,
    chart: Chart | None,
    reason: str,
    min_width: int = 0,
    normalized: Chart | None = None,
    attributes: str = "",
) -> str:
    """Return a chart as HTML; None as a sentence that gives the reason why there is nothing to draw yet.

    Charts are drawn once a reader comes near them. Until then the page keeps their place, so that nothing below moves
    away under the pointer.

    Args:
        key: Id of the element.
        chart: The chart.
        reason: Why there may be none.
        min_width: Width below which the chart scrolls sideways, in pixels.
        normalized: The same chart on other axes; see `Chart.json`.
        attributes: Attributes of the element, as HTML.
    """
    if chart is None:
        return not_yet(reason)
    wide, narrow = (chart.layout(is_narrow)["height"] for is_narrow in (False, True))
    style = f"min-width:{min_width}px;--height:{wide}px;--narrow-height:{narrow}px"
    spec = f'<script type="application/json">{chart.json(normalized)}</script>'
    return f'<div class="scroll"><div class="chart" id="{key}" style="{style}"{attributes}></div>{spec}</div>'


def charts_html(charts: Mapping[str, Chart], reason: str) -> str:
    """Return charts side by side."""
    if not charts:
        return not_yet(reason)
    return f'<div class="charts">{"".join(chart_html(key, chart, reason) for key, chart in charts.items())}</div>'


def note(words: str) -> str:
    """Return a sentence that explains what a reader sees; it may hold HTML."""
    return f'<p class="note">{words}</p>'


def not_yet(reason: str) -> str:
    """Return a sentence that says why something is not there yet."""
    return f'<p class="none">Not yet: {reason}.</p>'
