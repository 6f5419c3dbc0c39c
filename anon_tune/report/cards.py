"""Cards of trials: pictures, readings and params, as plain HTML."""

from __future__ import annotations

import math
from collections.abc import Mapping

from anon_tune.certificate import Certificate
from anon_tune.report.selection import carded_trials
from anon_tune.report.shown import Media, ShownStudy
from anon_tune.report.wording import certainty, certified, param_lines, per_frame, percent, reading, status_words, text
from anon_tune.trial import Reading, Score, Trial
from anon_tune.utility_task import TASKS


def gallery(shown: ShownStudy) -> str:
    """Return a card for every trial on the front and for every other anchor that has a preview.

    If very many trials are on the front, only some of them have a card.
    """
    members = carded_trials(shown.front)
    listed = {t.id for t in members}
    others = [t for t in shown.trials if t.is_anchor and t.id not in listed and shown.media.still(t.id)]
    return "".join(_card(t, shown) for t in others + members)


def _card(trial: Trial, shown: ShownStudy) -> str:
    name = text(trial.id)
    title = "Anchor" if trial.is_anchor else "Trial"
    params = "<br>".join(param_lines(trial.params))
    folded = f"<details><summary>Params</summary><code>{params}</code></details>" if params else ""
    opens = f'<button type="button" class="more" data-open="{name}">Everything about this trial</button>'
    return (
        f'<article class="card" id="trial-{name}"><h3>{title} {name}</h3>{picture(trial.id, shown.media)}'
        f"{measured(trial, shown)}{folded}{opens}</article>"
    )


def picture(trial_id: str, media: Media) -> str:
    """Return a looping video of clips before and after, or the still preview where there is no video."""
    name, clip, still = text(trial_id), media.clip(trial_id), media.still(trial_id)
    if clip:
        return (
            f'<figure><video src="{text(clip)}" poster="{text(still)}" autoplay loop muted playsinline tabindex="0" '
            f'aria-label="Clips, original on the left, by {name} on the right. Press Enter to stop or play."></video>'
            "<figcaption>original on the left, anonymized on the right</figcaption></figure>"
        )
    if still:
        return (
            f'<figure><img src="{text(still)}" alt="Frames of clips, original above, by {name} below">'
            "<figcaption>original above, anonymized below</figcaption></figure>"
        )
    return '<p class="none">No preview was saved.</p>'


def measured(trial: Trial, shown: ShownStudy) -> str:
    """Return a trial's readings, those of its certificate beside them, and how certain it is on the front."""
    score, note = shown.front.scores.get(trial.id), certainty(trial, shown.front)
    said = f"<p>{note[:1].upper()}{note[1:]}.</p>" if note else ""
    if score is None:
        return f'{said}<p class="none">No full score yet.</p>'
    return said + _readings(score, shown.certificates.get(trial.id))


def _readings(score: Score, certificate: Certificate | None) -> str:
    rows = [
        ("Leakage", reading(score.leakage), score.leakage, "leak"),
        ("Leakage, normalized", percent(score.leakage.normalized), None, ""),
        (TASKS[score.task].title, reading(score.accuracy), score.accuracy, "use"),
        *((text(name), reading(other), other, "use") for name, other in score.beside.items()),
    ]
    if certificate is not None:
        rows[2:2] = [
            (f"Certified leakage ({status_words(certificate)})", certified(certificate), None, ""),
            ("Certified leakage, normalized", percent(certificate.leakage_normalized), None, ""),
        ]
    if math.isfinite(score.seconds_per_frame):
        rows.append(("Anonymizing", per_frame(score.seconds_per_frame), None, ""))
    cells = "".join(f"<tr><th>{name}</th><td>{value}{_bar(of, kind)}</td></tr>" for name, value, of, kind in rows)
    details = _values("Attacker", "cMAP", score.attackers) + _values("Attribute", "AP", score.attributes)
    return f'<table class="readings">{cells}</table><div class="pair">{details}</div>'


def _bar(of: Reading | None, kind: str) -> str:
    """Draw a reading as a bar, with ticks at its floor and its ceiling."""
    if of is None or not math.isfinite(of.value):
        return ""
    ticks = "".join(f'<i style="left:{v * 100:.1f}%"></i>' for v in (of.floor, of.ceiling) if math.isfinite(v))
    return f'<div class="bar {kind}" aria-hidden="true"><b style="width:{of.value * 100:.1f}%"></b>{ticks}</div>'


def _values(title: str, unit: str, values: Mapping[str, float]) -> str:
    if not values:
        return ""
    ordered = sorted(values.items(), key=lambda item: (-item[1] if math.isfinite(item[1]) else math.inf, item[0]))
    rows = "".join(f"<tr><td>{text(name)}</td><td>{percent(value)}</td></tr>" for name, value in ordered)
    return f"<table><thead><tr><th>{title}</th><th>{unit}</th></tr></thead><tbody>{rows}</tbody></table>"
