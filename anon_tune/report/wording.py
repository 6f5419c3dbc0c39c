"""Numbers and names as a reader sees them. Fractions become percent here and nowhere else.

Whatever comes from data passes through `text` before it meets HTML. Plotly reads a part of HTML in
hover texts, labels and legends too, so the same holds there.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping

from anon_tune.trial import Reading, Trial

NOTHING = "—"


def text(value: object) -> str:
    """Escape any value for HTML, attribute values included."""
    return html.escape(str(value), quote=True)


def percent(fraction: float | None) -> str:
    """Write a fraction as percent with one decimal; a dash where there is none."""
    return f"{fraction * 100:.1f}%" if fraction is not None and math.isfinite(fraction) else NOTHING


def reading(value: Reading) -> str:
    """Write a value with its interval."""
    return f"{percent(value.value)} [{percent(value.low)}, {percent(value.high)}]"


def plain(value: object) -> str:
    """Write a param's value in few digits, escaped."""
    return text(f"{value:.4g}" if isinstance(value, float) else value)


def shorten(value: object, length: int = 16) -> str:
    """Write a category in at most ``length`` characters, NOT escaped, for a label that reads no HTML."""
    words = str(value)
    return words if len(words) <= length else words[: length - 1] + "…"


def duration(seconds: float) -> str:
    """Write seconds as the two largest units."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def hover(trial: Trial, front_rank: int | None) -> str:
    """Write what a trial's point shows on hover: escaped lines joined by ``<br>``."""
    lines = [f"<b>{text(trial.id)}</b> · {text(trial.method)}"]
    if front_rank is not None:
        lines[0] += " · on the front" if front_rank == 0 else f" · front rank {front_rank}"
    if trial.score is not None:
        leakage = trial.score.leakage
        lines.append(f"leakage {reading(leakage)}, normalized {percent(leakage.normalized)}")
        lines.append(f"accuracy {reading(trial.score.accuracy)}")
    return "<br>".join(lines + param_lines(trial.params))


def param_lines(params: Mapping[str, object]) -> list[str]:
    """Write one escaped ``name = value`` a param, in order of name."""
    return [f"{text(name)} = {plain(params[name])}" for name in sorted(params)]
