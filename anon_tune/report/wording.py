"""Formats numbers and names for a reader. Fractions become percent here and nowhere else.

All text that comes from data passes through `text` before it is put into HTML. Plotly reads some HTML in hover texts,
labels and legends, so the same holds for them.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping

from anon_tune.certificate import Certificate
from anon_tune.pareto import ParetoFront
from anon_tune.trial import Reading, Trial
from anon_tune.utility_task import TASKS

NOTHING = "—"


def text(value: object) -> str:
    """Return any value as text that is escaped for HTML, also for values of HTML attributes."""
    return html.escape(str(value), quote=True)


def percent(fraction: float | None) -> str:
    """Format a fraction as percent with one decimal; a dash if there is none or it is not finite."""
    return f"{fraction * 100:z.1f}%" if fraction is not None and math.isfinite(fraction) else NOTHING


def reading(value: Reading) -> str:
    """Format a value with its interval, in percent."""
    return f"{percent(value.value)} [{percent(value.low)}, {percent(value.high)}]"


def plain(value: object) -> str:
    """Format the value of a param with at most four digits, escaped."""
    return text(f"{value:.4g}" if isinstance(value, float) else value)


def shorten(value: object, length: int = 16) -> str:
    """Shorten a value to at most ``length`` characters. It is NOT escaped; use it only for labels that read no HTML.

    A third of them is its end, which often tells it from others, as in ``frame-difference:3``.
    """
    words, tail = str(value), length // 3
    return words if len(words) <= length else words[: length - 1 - tail] + "…" + words[-tail:]


def duration(seconds: float) -> str:
    """Format seconds in their two largest units, such as ``3 min 20 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def hours(seconds: float) -> str:
    """Format seconds as hours, with three digits below 100 hours."""
    return _short(seconds / 3600)


def per_frame(seconds: float) -> str:
    """Format the time that anonymizing one frame takes; a dash if it was not measured."""
    return f"{_short(seconds * 1000)} ms per frame" if math.isfinite(seconds) else NOTHING


def hover(trial: Trial, front: ParetoFront) -> str:
    """Return what the point of a trial shows on hover: escaped lines joined by ``<br>``."""
    lines = [f"<b>{text(trial.id)}</b> · {text(trial.method)}"]
    rank = front.front_ranks.get(trial.id)
    if rank is not None:
        lines[0] += " · on the front" if rank == 0 else f" · front rank {rank}"
    if note := certainty(trial, front):
        lines.append(note)
    if trial.id in front.scores:
        score = front.scores[trial.id]
        lines.append(f"leakage {reading(score.leakage)}, normalized {percent(score.leakage.normalized)}")
        lines.append(f"{TASKS[score.task].objective} {reading(score.accuracy)}")
        lines.extend(f"{text(name)} {reading(other)}" for name, other in score.beside.items())
        if math.isfinite(score.seconds_per_frame):
            lines.append(f"anonymizing takes {per_frame(score.seconds_per_frame)}")
    return "<br>".join(lines + param_lines(trial.params))


def hover_certified(trial: Trial, certificate: Certificate) -> str:
    """Return what the point of a certificate shows on hover: escaped lines joined by ``<br>``."""
    lines = [f"<b>{text(trial.id)}</b> · {text(trial.method)} · certificate, {status_words(certificate)}"]
    lines.append(f"leakage {certified(certificate)}, normalized {percent(certificate.leakage_normalized)}")
    lines.append(f"{TASKS[certificate.task].objective} {percent(certificate.accuracy)}")
    return "<br>".join(lines + param_lines(trial.params))


def certified(certificate: Certificate) -> str:
    """Return the leakage of a certificate with its interval; a lower bound says so."""
    low, high = certificate.leakage_interval
    more = " or more" if certificate.status == "LOWER_BOUND" else ""
    return f"{percent(certificate.leakage)}{more} [{percent(low)}, {percent(high)}]"


def status_words(certificate: Certificate) -> str:
    """Return the status of a certificate as a reader writes it: CERTIFIED, LOWER BOUND or REFUSED."""
    return certificate.status.replace("_", " ")


def certainty(trial: Trial, front: ParetoFront) -> str:
    """Say why a trial cannot be on the front or, in a verified study, how probable it is there; otherwise empty."""
    if not trial.is_feasible:
        return "breaks a constraint of the study, so it cannot be on the front"
    if not front.is_verified:
        return ""
    if not trial.repeats:
        return "measured once, which is not enough to be on the front" if not trial.is_anchor else "measured once"
    number = len(trial.repeats)
    words = f"mean of {number} repeats" if number > 1 else "one repeat"
    return f"{words}, on the front with probability {percent(front.probabilities.get(trial.id))}"


def param_lines(params: Mapping[str, object]) -> list[str]:
    """Return one escaped ``name = value`` per param, sorted by name."""
    return [f"{text(name)} = {plain(params[name])}" for name in sorted(params)]


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"
