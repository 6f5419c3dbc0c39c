"""The section of the front: the plot, the choice of its axes, and the pick under a limit."""

from __future__ import annotations

import json
import math
import shlex
from dataclasses import replace

from anon_tune.certificate import Certificate
from anon_tune.pareto import Limit, ParetoFront
from anon_tune.report.chart_html import chart_html, not_yet, note
from anon_tune.report.figures import front_chart
from anon_tune.report.selection import certified_note, drawn_note
from anon_tune.report.shown import ShownStudy
from anon_tune.report.wording import percent, text
from anon_tune.trial import Reading, Score, Trial
from anon_tune.utility_task import TASKS

_READINGS = {
    False: "Full scores, each measured once, with bootstrap intervals. The best of many single measurements are partly "
    "luck. 'anon-tune verify' measures them again.",
    True: "Means of repeats with new seeds. Their intervals combine the variation over clips and over seeds. A hollow "
    "mark is a trial that was measured once, which does not count. The band shows how the front varies between "
    "repeats.",
}

_OPTIONS = {
    Limit.LEAKAGE_AT_MOST: "--leakage-at-most",
    Limit.ACCURACY_AT_LEAST: "--accuracy-at-least",
}


def front_section(shown: ShownStudy) -> str:
    """Return the plot of the front with its controls, as HTML."""
    front, certificates = shown.front, shown.certificates
    how = f"{_READINGS[front.is_verified]}{certified_note(front, certificates)}"
    said = note(
        f"{how} Point at a trial to see it, click it to see everything about it, or drag a box to select trials."
        f"{drawn_note(front)}"
    )
    chart = front_chart(front, certificates)
    if chart is None:
        return said + not_yet("no trial has a full score")
    by_id = {trial_id: normalized_certificate(one) for trial_id, one in certificates.items()}
    normalized = front_chart(normalized_front(front), by_id, is_normalized=True)
    tools = (
        '<div class="tools"><label><input type="checkbox" id="normalized"> Normalized axes: 0 is the floor, 1 the '
        'ceiling</label> <button type="button" id="unselect" hidden>Clear the selection</button> '
        '<span id="selected-count" role="status"></span></div>'
    )
    members = text(json.dumps([trial.id for trial in front.members]))
    plot = chart_html("front-plot", chart, "", normalized=normalized, attributes=f' data-front="{members}"')
    return f"{said}{tools}{plot}{_pick(shown)}"


def _pick(shown: ShownStudy) -> str:
    """Return a slider for the leakage or the accuracy limit, and the picks that a page needs to follow it."""
    pickable = shown.front.pickable
    if not pickable.trials:
        return ""
    known: dict[str, object] = {}
    switches: list[str] = []
    labels = ("Leakage at most", f"{shown.front.task.title} at least")
    for (rule, option), label in zip(_OPTIONS.items(), labels, strict=True):
        steps = pickable.steps(rule)
        entries = [{"limit": limit, "trial": t.id, "said": _said(shown.front.scores[t.id])} for limit, t in steps]
        middle = steps[len(steps) // 2][0]
        start = math.floor(middle * 1000) if rule is Limit.ACCURACY_AT_LEAST else math.ceil(middle * 1000)
        command = shlex.join(["anon-tune", "export", str(shown.study), option])
        known[rule.value] = {"start": start / 1000, "command": command, "steps": entries}
        checked = "" if switches else " checked"
        button = f'<input type="radio" id="rule-{rule.value}" name="rule" value="{rule.value}"{checked}>'
        switches.append(f"<label>{button} {label}</label>")
    data = json.dumps(known).replace("<", "\\u003c")
    return (
        f'<fieldset class="pick"><legend>The pick</legend><div class="tools">{"".join(switches)}'
        '<output id="limit-said" for="limit"></output></div>'
        '<input type="range" id="limit" min="0" max="1" step="0.001" aria-label="Limit">'
        '<p id="picked" role="status"></p>'
        '<div class="command"><span>Export it</span><code id="pick-command"></code>'
        '<button type="button" data-copy="" id="pick-copy">Copy</button></div>'
        f'<script type="application/json" id="picks">{data}</script></fieldset>'
    )


def _said(score: Score) -> str:
    objective = TASKS[score.task].objective
    return (
        f"leakage {percent(score.leakage.value)} on the test split and {percent(score.leakage.validation)} on the "
        f"validation split, {objective} {percent(score.accuracy.value)} and {percent(score.accuracy.validation)}"
    )


def normalized_front(front: ParetoFront) -> ParetoFront:
    """Return the same front with readings on a scale on which the floor is 0 and the ceiling 1; ranks are kept."""
    scores = {trial_id: _normalized(score) for trial_id, score in front.scores.items()}
    return replace(front, scores=scores, trials=tuple(map(_with_normalized_repeats, front.trials)))


def _with_normalized_repeats(trial: Trial) -> Trial:
    if not trial.repeats:
        return trial
    return replace(trial, repeats=tuple(replace(one, score=_normalized(one.score)) for one in trial.repeats))


def _normalized(score: Score) -> Score:
    return replace(score, leakage=_rescaled(score.leakage), accuracy=_rescaled(score.accuracy))


def _rescaled(reading: Reading) -> Reading:
    def scaled(value: float) -> float:
        return replace(reading, value=value).normalized

    return Reading(
        value=reading.normalized,
        floor=0.0,
        ceiling=1.0,
        low=scaled(reading.low),
        high=scaled(reading.high),
        validation=scaled(reading.validation),
    )


def normalized_certificate(one: Certificate) -> Certificate:
    """Return a certificate with leakage and accuracy on a scale on which the floor is 0 and the ceiling 1."""
    span = one.accuracy_ceiling - one.accuracy_floor
    accuracy = (one.accuracy - one.accuracy_floor) / span if span > 0 else math.nan
    return one.model_copy(update={"leakage": one.leakage_normalized, "accuracy": accuracy})
