"""Renders a front as text, and as HTML with a plot and a table for a notebook."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

from anon_tune.errors import on_one_line
from anon_tune.trial import Reading, Trial

if TYPE_CHECKING:
    from anon_tune.pareto.front import ParetoFront

_MOST_ROWS = 20  # of the text; a notebook scrolls
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 420, 260, 44, 36  # of the plot, and its margins, in pixels


def front_text(front: ParetoFront) -> str:
    """Return a front as text: a summary, then a table of its trials from the lowest leakage to the highest."""
    heads = _heads(front)
    rows = [heads, *(_cells(trial, front) for trial in front.members[:_MOST_ROWS])]
    widths = [max(len(row[at]) for row in rows) for at in range(len(heads))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    more = len(front.members) - _MOST_ROWS
    return "\n".join(map(on_one_line, [_summary(front), *lines, *([f"and {more} more"] if more > 0 else [])]))


def front_html(front: ParetoFront) -> str:
    """Return the front as HTML without scripts, style sheets or other files."""
    head = "".join(f"<th>{name}</th>" for name in _heads(front))
    rows = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in _cells(trial, front))}</tr>"
        for trial in front.members
    )
    plot = _plot(front) if front.trials else ""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f"<div><p>{html.escape(_summary(front))}</p>{plot}{table}</div>"


def _heads(front: ParetoFront) -> tuple[str, ...]:
    return "trial", "method", "leakage", "normalized", front.task.objective, "params"


def _summary(front: ParetoFront) -> str:
    if front.reference_point is None:
        return str(front.empty)
    point, by = front.reference_point, ", by means of repeats" if front.is_verified else ""
    summary = (
        f"front of {len(front.members)} of {len(front.trials)} trials{by}; hypervolume {front.hypervolume:.4f} against "
        f"leakage {point.leakage:.3f} (raw clips) and {front.task.objective} {point.accuracy:.3f} (chance)"
    )
    return summary if front.empty is None else f"{summary}. {front.empty}"


def _cells(trial: Trial, front: ParetoFront) -> tuple[str, ...]:
    score = front.scores[trial.id]
    params = " ".join(_param(name, value) for name, value in trial.params.items() if name != "method")
    leakage, accuracy = _reading(score.leakage), _reading(score.accuracy)
    return trial.id, trial.method, leakage, f"{score.leakage.normalized:z.2f}", accuracy, params


def _reading(reading: Reading) -> str:
    return f"{reading.value:.3f} ({reading.low:.3f} to {reading.high:.3f})"


def _param(name: str, value: object) -> str:
    return f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"


def _plot(front: ParetoFront) -> str:
    """Draw all scored trials, leakage to the right and accuracy upwards, both from 0 to 1, as SVG."""
    others = [trial for trial in front.trials if front.front_ranks[trial.id] > 0]
    across, up = _WIDTH - _LEFT - 8, _HEIGHT - _BOTTOM - 8
    axes = f"M{_LEFT},8 V{8 + up} H{_LEFT + across}"
    marks = "".join(
        f'<text x="{_LEFT + across * at}" y="{_HEIGHT - 22}" text-anchor="middle">{at:g}</text>'
        f'<text x="{_LEFT - 5}" y="{8 + up * (1 - at) + 4}" text-anchor="end">{at:g}</text>'
        for at in (0, 0.25, 0.5, 0.75, 1)
    )
    objective = front.task.objective
    names = (
        f'<text x="{_LEFT + across / 2}" y="{_HEIGHT - 6}" text-anchor="middle">leakage (lower is better)</text>'
        f'<text x="12" y="{8 + up / 2}" text-anchor="middle" transform="rotate(-90 12 {8 + up / 2})">{objective}</text>'
    )
    dots = _dots(others, front, "#9aa0a6", across, up) + _dots(front.members, front, "#1a73e8", across, up)
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" font-size="11" font-family="sans-serif" fill="currentColor" '
        f'role="img" aria-label="leakage and {objective} of trials">'
        f'<path d="{axes}" fill="none" stroke="currentColor"/>{marks}{names}{dots}</svg>'
    )


def _dots(trials: Sequence[Trial], front: ParetoFront, colour: str, across: int, up: int) -> str:
    dots = []
    for trial in trials:
        score = front.scores[trial.id]
        x, y = _LEFT + across * score.leakage.value, 8 + up * (1 - score.accuracy.value)
        said = f"{trial.id}: leakage {score.leakage.value:.3f}, {front.task.objective} {score.accuracy.value:.3f}"
        title = f"<title>{html.escape(said)}</title>"
        dots.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}">{title}</circle>')
    return "".join(dots)
