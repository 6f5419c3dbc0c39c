"""The panel that opens when a reader clicks a trial: everything the study knows about it, and what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from anon_tune.report.cards import measured, picture
from anon_tune.report.certificate_sections import MEANING, facts
from anon_tune.report.chart_html import chart_html
from anon_tune.report.shown import ShownStudy
from anon_tune.report.training_figures import trial_losses
from anon_tune.report.wording import duration, percent, plain, status_words, text
from anon_tune.search.trained import has_trained_method
from anon_tune.trial import Trial, task_of

_MOST_PANELS = 200
"""Number of trials, at most, whose panels a frozen page holds."""


def paneled_trials(shown: ShownStudy) -> list[Trial]:
    """Return the trials whose panels a frozen page holds: the front and the anchors, then the best front ranks."""
    front, worst = shown.front, len(shown.trials)
    ordered = sorted(shown.trials, key=lambda t: (not t.is_anchor, front.front_ranks.get(t.id, worst), t.number))
    return ordered[:_MOST_PANELS]


def trial_panel(trial: Trial, shown: ShownStudy, with_picture: bool = True) -> str:
    """Return the panel of a trial as HTML.

    Args:
        trial: The trial.
        shown: Its study.
        with_picture: False if the page copies the picture from the trial's card.
    """
    rank = shown.front.front_ranks.get(trial.id)
    place = "" if rank is None else ", on the front" if rank == 0 else f", front rank {rank}"
    title = "Anchor" if trial.is_anchor else "Trial"
    looks = picture(trial.id, shown.media) if with_picture else ""
    reason = f'<p class="failed">{text(trial.reason)}</p>' if trial.reason else ""
    parts = [
        f'<h3 id="panel-title">{title} {text(trial.id)}</h3>',
        f'<p class="note">{text(trial.method)}, {text(trial.state.value.lower())}{place}, '
        f"{duration(trial.seconds)} of work</p>",
        reason,
        f'<div class="looks">{looks}</div>',
        measured(trial, shown),
        _part("Params", _params(trial)),
        _part("Rungs", _rungs(trial)),
        _part("Losses", _losses(trial)),
        _part("Certificate", _certificate(trial, shown)),
        _part("What to do with it", _commands(trial, shown)),
    ]
    return "".join(parts)


def _part(title: str, content: str) -> str:
    return f"<h4>{title}</h4>{content}" if content else ""


def _params(trial: Trial) -> str:
    rows = [f"<tr><th>{text(name)}</th><td>{plain(trial.params[name])}</td></tr>" for name in sorted(trial.params)]
    return f"<table>{''.join(rows)}</table>" if rows else '<p class="none">It has no sampled params.</p>'


def _rungs(trial: Trial) -> str:
    if not trial.reports:
        return '<p class="none">It has not been measured yet.</p>'
    rows = "".join(
        f"<tr><td>{r.rung}</td><td>{r.step}</td><td>{'test' if r.score.full else 'validation'}</td>"
        f"<td>{percent(r.score.leakage.value)}</td><td>{percent(r.score.accuracy.value)}</td>"
        f"<td>{duration(r.seconds)}</td><td>{text(r.node)}</td></tr>"
        for r in trial.reports
    )
    names = ("Rung", "Step", "Split", "Leakage", task_of(r.score for r in trial.reports).title, "Time", "Node")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _losses(trial: Trial) -> str:
    if not has_trained_method(trial):
        return '<p class="none">This method is not trained, so it has no losses.</p>'
    chart = trial_losses(trial)
    if chart is None and trial.state.is_final:
        return '<p class="none">No losses of this trial were recorded.</p>'
    return chart_html("panel-losses", chart, "this trial has not reached its first rung")


def _certificate(trial: Trial, shown: ShownStudy) -> str:
    found = shown.certificates.get(trial.id)
    if found is None:
        return '<p class="none">It has none. An audit lets more attackers train until they stop improving.</p>'
    return (
        f"<p><b>{status_words(found)}</b>: {MEANING[found.status]}</p>"
        f'<p class="note">{text(" ".join(facts(found)))} '
        f'<a href="#certificate-{text(trial.id)}">All of its numbers</a></p>'
    )


def _commands(trial: Trial, shown: ShownStudy) -> str:
    where = str(shown.study)
    one = ("--trial", trial.id)
    known = [
        ("Export it", ["export", where, *one, *shlex.split("-o anonymizer.safetensors")]),
        ("Audit it", ["audit", where, *one]),
        ("Anonymize a video with it", ["anonymize", "in.mp4", "-o", "out.mp4", "--study", where, *one]),
    ]
    return "".join(command_html(said, words) for said, words in known)


def command_html(said: str, words: Sequence[str]) -> str:
    """Return an ``anon-tune`` command with a button that copies it."""
    line = text(shlex.join(["anon-tune", *words]))
    return (
        f'<div class="command"><span>{said}</span><code>{line}</code>'
        f'<button type="button" data-copy="{line}">Copy</button></div>'
    )
