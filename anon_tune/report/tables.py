"""The parts of the page that are plain HTML: summary, settings, table of trials, and failed trials."""

from __future__ import annotations

import contextlib
import math
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence

from anon_tune.address import refuse_secret
from anon_tune.certificate import Certificate
from anon_tune.errors import AnonTuneError
from anon_tune.pareto import Cause, ParetoFront
from anon_tune.report.selection import MOST_FAILURES, carded_trials, listed_trials
from anon_tune.report.wording import NOTHING, duration, hours, param_lines, percent, plain, text
from anon_tune.study_directory import StudyDirectory
from anon_tune.trial import Cost, Trial, TrialState

CAVEAT = (
    "Leakage is what the attackers named here recovered from these clips after being trained on the anonymizer's own "
    "output. A stronger attacker or other clips may recover more. No compliance with any law is claimed."
)


def summary(trials: Sequence[Trial], front: ParetoFront) -> str:
    """Return tiles that show the state of the study."""
    states = Counter(t.state for t in trials if not t.is_anchor)
    # What has begun and not ended need not be running: the study may have been stopped.
    words = {s: s.value.lower() for s in TrialState} | {TrialState.RUNNING: "unfinished"}
    by_state = ", ".join(f"{states[s]} {words[s]}" for s in TrialState if states[s]) or "none yet"
    point = front.reference_point
    against = (
        f"against leakage {percent(point.leakage)} (raw clips) and {front.task.objective} "
        f"{percent(point.accuracy)} (chance)"
        if point is not None
        else "not yet: nothing has a full score"
    )
    if beyond := front.num_beyond_reference:
        against += (
            "; 1 trial is worse than this point and adds nothing"
            if beyond == 1
            else f"; {beyond} trials are worse than this point and add nothing"
        )
    on_front = sum(not t.is_anchor for t in front.members)
    judged = ", judged by the means of their repeats" if front.is_verified else ""
    seconds = max((t.ended for t in trials), default=0.0) - min((t.started for t in trials), default=0.0)
    tiles = [
        ("Trials", str(sum(states.values())), by_state),
        ("On the front", str(on_front), f"trials, without anchors, that no other trial dominates{judged}"),
        ("Hypervolume", f"{front.hypervolume:.4f}", against),
        ("Time", duration(seconds), "from the first record to the last"),
        *_spent(trials),
    ]
    cells = "".join(f"<div><dt>{name}</dt><dd><b>{value}</b> {note}</dd></div>" for name, value, note in tiles)
    is_early = front.empty is None or front.empty.cause is Cause.EARLY
    empty = "" if is_early else f'<p class="note">{text(front.empty)}</p>'
    return f'<dl class="tiles">{cells}</dl>{empty}<p class="caveat">{CAVEAT}</p>'


def _spent(trials: Sequence[Trial]) -> list[tuple[str, str, str]]:
    """Return a tile with the cost of all trials; none if no cost is known."""
    cost = sum((t.cost for t in trials), Cost())
    parts = [(hours(cost.gpu_s), "GPU-hours")] if cost.gpu_s else []
    parts += [(hours(cost.cpu_s), "CPU-hours")] if cost.cpu_s else []
    parts += [(f"{cost.money:,.2f}", "in the currency of the cluster file")] if cost.money else []
    if not parts:
        return []
    (value, unit), *others = parts
    notes = [unit, *(f"{number} {of}" for number, of in others), "reserved by all trials, in any state"]
    return [("Spent", value, ", ".join(notes))]


def settings(study: Mapping[str, object]) -> str:
    """Return the settings and versions in ``study.toml`` as a list that a reader can unfold."""
    rows = [f"<tr><th>{text(name)}</th><td>{plain(value)}</td></tr>" for name, value in _flat(study)]
    return f"<details><summary>Versions and settings</summary><table>{''.join(rows)}</table></details>" if rows else ""


def privacy(rows: Sequence[tuple[str, str]]) -> str:
    """Return the statement of a private study as a table."""
    cells = "".join(f"<tr><th>{text(name)}</th><td>{text(words)}</td></tr>" for name, words in rows)
    return f'<table class="statement">{cells}</table>'


def elsewhere(study: StudyDirectory, storage: object) -> str:
    """Return the commands that show the same study in TensorBoard and in Optuna's dashboard, if these have data.

    Args:
        study: The study directory.
        storage: URL of the Optuna storage, if it is not the journal in the directory. A URL that carries a secret is
            left out.
    """
    commands = []
    if study.tensorboard.names():
        commands.append(shlex.join(["tensorboard", "--logdir", str(study.tensorboard)]))
    if isinstance(storage, str):
        with contextlib.suppress(AnonTuneError):
            refuse_secret("storage", storage)
            commands.append(shlex.join(["optuna-dashboard", storage]))
    elif not study.folder.is_remote and study.journal.exists():
        pictures = ["--artifact-dir", str(study.artifacts)] if study.artifacts.names() else []
        commands.append(shlex.join(["optuna-dashboard", str(study.journal), *pictures]))
    said = " and ".join(f"<code>{text(command)}</code>" for command in commands)
    return f'<p class="note">This study can also be viewed with {said}.</p>' if said else ""


def _flat(table: Mapping[str, object], prefix: str = "") -> list[tuple[str, object]]:
    pairs: list[tuple[str, object]] = []
    for name, value in table.items():
        pairs += _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else [(prefix + name, value)]
    return pairs


def trial_table(trials: Sequence[Trial], front: ParetoFront, certificates: Mapping[str, Certificate]) -> str:
    """Return a table of trials. The script of the page sorts it by a column when the head of the column is clicked.

    A verified study has two more columns, and so has one with certificates. For a large study, see `listed_trials`.
    """
    trials = listed_trials(trials, front)
    names = sorted({name for t in trials for name in t.params})
    heads = ["Trial", "Method", "State", "Front rank", "Leakage", "Normalized", front.task.title]
    heads += ["Repeats", "On the front"] if front.is_verified else []
    heads += ["Certified leakage", "Certified, normalized"] if certificates else []
    heads += ["Last rung", "Seconds"]
    head = "".join(f'<th scope="col"><button type="button">{text(name)}</button></th>' for name in heads + names)
    carded = {t.id for t in carded_trials(front)}
    rows = "".join(_row(t, names, front, t.id in carded, certificates) for t in trials)
    return (
        '<div class="scroll tall"><table id="trials-table" class="sortable">'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(
    trial: Trial, names: Sequence[str], front: ParetoFront, carded: bool, certificates: Mapping[str, Certificate]
) -> str:
    name = text(trial.id)
    score, front_rank = front.scores.get(trial.id), front.front_ranks.get(trial.id)
    probability = front.probabilities.get(trial.id)
    fractions = [None] * 3 if score is None else [score.leakage.value, score.leakage.normalized, score.accuracy.value]
    cells = [
        f'<td><a href="#trial-{name}" data-open="{name}">{name}</a></td>'
        if carded
        else f'<td><button type="button" class="link" data-open="{name}">{name}</button></td>',
        f"<td>{text(trial.method)}</td>",
        f'<td class="{trial.state.value.lower()}">{trial.state.value}</td>',
        _number(front_rank, str(front_rank)),
        *[_number(fraction, percent(fraction)) for fraction in fractions],
        *([_number(len(trial.repeats), str(len(trial.repeats)))] if front.is_verified else []),
        *([_number(probability, percent(probability))] if front.is_verified else []),
        *(_certified_cells(certificates.get(trial.id)) if certificates else []),
        _number(trial.rung, str(trial.rung)),
        _number(trial.seconds, f"{trial.seconds:.1f}"),
    ]
    cells += [_param(trial.params.get(param)) for param in names]
    return f'<tr data-trial="{name}">{"".join(cells)}</tr>'


def _certified_cells(certificate: Certificate | None) -> list[str]:
    values = [None, None] if certificate is None else [certificate.leakage, certificate.leakage_normalized]
    return [_number(value, percent(value)) for value in values]


def _number(value: float | None, words: str) -> str:
    if value is None or not math.isfinite(value):
        return f'<td class="number" data-value="">{NOTHING}</td>'
    return f'<td class="number" data-value="{value}">{words}</td>'


def _param(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(value, plain(value))
    return f"<td>{plain(value)}</td>" if value is not None else _number(None, "")


def failures(trials: Sequence[Trial]) -> str:
    """Return a table of the FAILED trials with their reasons; of very many, the newest are listed."""
    failed = [t for t in trials if t.state is TrialState.FAILED]
    if not failed:
        return "<p>No trial failed.</p>"
    left_out = len(failed) - MOST_FAILURES
    said = f"This lists the newest {MOST_FAILURES}; {left_out} others failed too."
    note = f'<p class="note">{said}</p>' if left_out > 0 else ""
    failed = failed[-MOST_FAILURES:]
    rows = "".join(
        f"<tr><td>{text(t.id)}</td><td>{text(t.reason or 'no reason was recorded')}</td>"
        f"<td><code>{'<br>'.join(param_lines(t.params))}</code></td></tr>"
        for t in failed
    )
    head = '<th scope="col">Trial</th><th scope="col">Reason</th><th scope="col">Params</th>'
    return f'{note}<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
