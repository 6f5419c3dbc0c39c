"""Chooses which trials of a large study the page shows, so that a browser can handle it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from anon_tune.certificate import Certificate
from anon_tune.pareto import ParetoFront
from anon_tune.trial import Trial

MOST_POINTS = 2000
"""Number of trials that a chart draws at most, in addition to the front and the anchors."""

MOST_ROWS = 1000
"""Number of trials that the table lists at most; the front and the anchors are always listed."""

MOST_CARDS = 40
"""Number of trials on the front that have a card and loss curves at most."""

MOST_FAILURES = 200
"""Number of failed trials that are listed at most."""

_ALL = "<code>anon-tune front DIR --all --format csv</code> lists all trials."

_Item = TypeVar("_Item")


def thinned(items: Sequence[_Item], most: int) -> list[_Item]:
    """Return at most `most` items, evenly spaced, including the first and the last."""
    if len(items) <= most:
        return list(items)
    return [items[round(index * (len(items) - 1) / (most - 1))] for index in range(most)]


def drawn_trials(front: ParetoFront) -> list[Trial]:
    """Return the scored trials that charts draw: front, anchors, and others evenly from the best rank to the worst."""
    always = {t.id for t in front.trials if t.is_anchor or front.front_ranks[t.id] == 0}
    others = sorted((t for t in front.trials if t.id not in always), key=lambda t: (front.front_ranks[t.id], t.number))
    drawn = always | {t.id for t in thinned(others, MOST_POINTS)}
    return [t for t in front.trials if t.id in drawn]


def drawn_note(front: ParetoFront) -> str:
    """Say which trials charts draw; empty if they draw all."""
    left_out = len(front.trials) - len(drawn_trials(front))
    if not left_out:
        return ""
    return f" This shows the front and {MOST_POINTS} other trials, evenly from the best front rank to the worst. {_ALL}"


def certified_note(front: ParetoFront, certificates: Mapping[str, Certificate]) -> str:
    """Say how many trials on the front have a certificate, and what that means for the numbers shown."""
    ours = [t.id for t in front.members if not t.is_anchor]
    num = sum(name in certificates for name in ours)
    if not ours:
        return ""
    if not num:
        return (
            " No trial on the front is certified: attackers with more effort may find more. 'anon-tune certify' "
            "measures it."
        )
    return f" A star is what a certificate found; {num} of {len(ours)} trials on the front have one."


def listed_trials(trials: Sequence[Trial], front: ParetoFront) -> list[Trial]:
    """Return the trials that the table lists: the front, the anchors, and then best and newest trials, half of each."""
    if len(trials) <= MOST_ROWS:
        return list(trials)
    always = {t.id for t in trials if t.is_anchor or front.front_ranks.get(t.id) == 0}
    others = [t for t in trials if t.id not in always]
    places = max(MOST_ROWS - len(always), 0)
    worst = len(trials)
    best = sorted(others, key=lambda t: (front.front_ranks.get(t.id, worst), -t.number))[: places // 2]
    listed = always | {t.id for t in best}
    newest = sorted((t for t in others if t.id not in listed), key=lambda t: -t.number)
    listed |= {t.id for t in newest[: places - len(best)]}
    return [t for t in trials if t.id in listed]


def listed_note(trials: Sequence[Trial], front: ParetoFront) -> str:
    """Say how many trials the table leaves out; empty if none."""
    left_out = len(trials) - len(listed_trials(trials, front))
    if not left_out:
        return ""
    return (
        f" This lists the front, the trials with the best front ranks and the newest trials; {left_out} others are "
        f"left out. {_ALL}"
    )


def carded_trials(front: ParetoFront) -> list[Trial]:
    """Return the trials on the front that have a card: anchors, and others evenly from lowest to highest leakage."""
    ours = [t for t in front.members if not t.is_anchor]
    shown = {t.id for t in thinned(ours, MOST_CARDS)}
    return [t for t in front.members if t.is_anchor or t.id in shown]


def carded_note(front: ParetoFront) -> str:
    """Say how many trials on the front have no card; empty if all have one."""
    left_out = len(front.members) - len(carded_trials(front))
    shown = f"This shows {MOST_CARDS} trials, evenly along the front; {left_out} others are left out."
    return shown if left_out else ""


def importance_trials(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials from which the importance of params is computed; more would not change the digits shown."""
    return thinned([t for t in trials if t.score is not None], MOST_POINTS)


def importance_note(trials: Sequence[Trial]) -> str:
    """Say how many trials importance is computed from; empty if from all."""
    left_out = sum(t.score is not None for t in trials) - len(importance_trials(trials))
    return f" Computed from {MOST_POINTS} complete trials, evenly over the study." if left_out else ""
