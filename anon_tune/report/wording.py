"""Numbers and names as a reader sees them. Fractions become percent here and nowhere else.

Whatever comes from data passes through `text` before it meets HTML. Plotly reads a part of HTML in
hover texts, labels and legends too, so the same holds there.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping

from anon_tune.pareto import ParetoFront
from anon_tune.trial import Reading, Trial

NOTHING = "—"


def text(value: object) -> str:
    """Escape any value for HTML, attribute values included."""
    return html.escape(str(value), quote=True)


def percent(fraction: float | None) -> str:
    """Write a fraction as percent with one decimal; a dash where there is none."""
    return f"{fraction * 100:z.1f}%" if fraction is not None and math.isfinite(fraction) else NOTHING


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


def hours(seconds: float) -> str:
    """Write seconds as hours, in three digits where they are few."""
    return _short(seconds / 3600)


def per_frame(seconds: float) -> str:
    """Format the time that anonymizing a frame takes; a dash if it was not measured."""
    return f"{_short(seconds * 1000)} ms a frame" if math.isfinite(seconds) else NOTHING


def hover(trial: Trial, front: ParetoFront) -> str:
    """Write what a trial's point shows on hover: escaped lines joined by ``<br>``."""
    lines = [f"<b>{text(trial.id)}</b> · {text(trial.method)}"]
    rank = front.front_ranks.get(trial.id)
    if rank is not None:
        lines[0] += " · on the front" if rank == 0 else f" · front rank {rank}"
    if note := certainty(trial, front):
        lines.append(note)
    if trial.id in front.scores:
        score = front.scores[trial.id]
        lines.append(f"leakage {reading(score.leakage)}, normalized {percent(score.leakage.normalized)}")
        lines.append(f"accuracy {reading(score.accuracy)}")
        if math.isfinite(score.seconds_per_frame):
            lines.append(f"anonymizing takes {per_frame(score.seconds_per_frame)}")
    return "<br>".join(lines + param_lines(trial.params))


def certainty(trial: Trial, front: ParetoFront) -> str:
    """Describe how certain a trial's place on the front is in a verified study, or why it has none; else empty."""
    if not trial.is_feasible:
        return "breaks a constraint of the study, so it cannot stand on the front"
    if not front.is_verified:
        return ""
    if not trial.repeats:
        return "measured once, which is not enough to stand on the front" if not trial.is_anchor else "measured once"
    number = len(trial.repeats)
    words = f"mean of {number} repeats" if number > 1 else "one repeat"
    return f"{words}, on the front with probability {percent(front.probabilities.get(trial.id))}"


def param_lines(params: Mapping[str, object]) -> list[str]:
    """Write one escaped ``name = value`` a param, in order of name."""
    return [f"{text(name)} = {plain(params[name])}" for name in sorted(params)]


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"
