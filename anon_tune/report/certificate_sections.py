"""Turns a certificate into titles, sentences and tables, which both the terminal and the page print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anon_tune.certificate import Attacker, Certificate, Interval
from anon_tune.recipe import measured_before
from anon_tune.report.wording import duration
from anon_tune.utility_task import TASKS

MEANING = {
    "CERTIFIED": "every attacker had stopped improving, and every canary had the leakage that it must have.",
    "LOWER_BOUND": "an attacker was still improving when its steps ran out, or had less effort than the default; "
    "true leakage may be higher.",
    "REFUSED": "a check of the measurement failed, or an attack refuted the claim of private training; "
    "see the reasons.",
}
"""The meaning of each status of a certificate."""

START = {"fresh": "Fresh", "raw": "Started from raw", "frozen": "Learned on raw only"}
"""The name, in tables, of the weights that an attacker began with."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The leakage that the strongest and the weakest of several attackers found.

    Attributes:
        most: cMAP of the strongest attacker, a fraction.
        least: cMAP of the weakest attacker, a fraction.
        rising: True if one of the attackers was still improving at its last step.
    """

    most: float
    least: float
    rising: bool


Cell = str | float | Interval | Spread | None
"""A cell of a table: text, a fraction (NaN if it was not measured), an interval, a spread, or None if it is empty."""


@dataclass(frozen=True, slots=True)
class Section:
    """A table of a certificate.

    Attributes:
        title: What the table shows; empty for the numbers at the top.
        note: How to read the table.
        head: Names of the columns.
        rows: Rows of cells, one cell per column.
        num_words: Number of columns at the right that hold words, not numbers. The first column always holds words.
        is_detail: True if the table lists what another section sums up.
    """

    title: str
    note: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    num_words: int = 0
    is_detail: bool = False


def title(c: Certificate) -> str:
    """Return the title of a certificate: what was audited."""
    method = "" if c.subject.method in (c.subject.name, "unknown") else f", method {c.subject.method}"
    return f"{c.subject.kind} {c.subject.name}{method}"


def facts(c: Certificate) -> tuple[str, ...]:
    """Return sentences that say on which clips leakage was measured, how long it took, and when."""
    data = c.data
    codec = f", through {data.codec}" if data.codec else ""
    windows = f", {data.num_windows} windows of each" if data.num_windows > 1 else ""
    old = measured_before(c.measure_version)
    return (
        *([old] if old else []),
        f"On {data.clips}: {data.num_train_clips} training clips, {data.num_validation_clips} validation clips, "
        f"{data.num_test_clips} test clips{windows}{codec}.",
        f"Strongest attacker: {c.strongest}. Distortion {c.distortion:.3f}. {duration(c.seconds)}, {c.created}.",
    )


def sections(c: Certificate) -> tuple[Section, ...]:
    """Return the tables of a certificate in the order in which they are shown."""
    return (
        _top(c),
        _attackers(c),
        _every_attacker(c),
        _attributes(c),
        _reconstruction(c),
        _linkage(c),
        *_membership(c),
        _canaries(c),
    )


def by_family(certificate: Certificate) -> dict[str, dict[str, list[Attacker]]]:
    """Group the attackers by family, then by start, in the order of the certificate."""
    grouped: dict[str, dict[str, list[Attacker]]] = {}
    for attacker in certificate.attackers:
        grouped.setdefault(attacker.family, {}).setdefault(attacker.start, []).append(attacker)
    return grouped


def _top(c: Certificate) -> Section:
    note = (
        "Floor: a blind attacker. By chance: the highest score that as many blind attackers reach by luck. "
        f"Ceiling: raw clips. Frozen: attackers that learned on raw clips only. Intervals resample {c.data.resampled}s."
    )
    leakage = (c.leakage, c.leakage_interval, c.leakage_floor, c.leakage_ceiling, c.leakage_normalized)
    accuracy = (c.accuracy, c.accuracy_interval, c.accuracy_floor, c.accuracy_ceiling, None)
    return Section(
        "",
        note,
        ("", "Value", f"{c.confidence:.0%} interval", "Floor", "Ceiling", "Normalized", "Frozen"),
        (
            ("Leakage", *leakage, c.leakage_frozen),
            ("By chance", c.leakage_by_chance, None, None, None, None, None),
            (TASKS[c.task].title, *accuracy, c.accuracy_frozen),
            *((name, b.value, b.interval, b.floor, b.ceiling, None, None) for name, b in c.beside.items()),
        ),
    )


def _attackers(c: Certificate) -> Section:
    return Section(
        "Attackers",
        "leakage of the strongest seed (and all seeds); * was still improving at its last step",
        ("Family", *START.values()),
        tuple(
            (family, *(_spread(starts.get(start, ())) for start in START)) for family, starts in by_family(c).items()
        ),
    )


def _spread(attackers: Sequence[Attacker]) -> Cell:
    if not attackers:
        return None
    values = [attacker.leakage for attacker in attackers]
    return Spread(max(values), min(values), not all(attacker.plateau for attacker in attackers))


def _every_attacker(c: Certificate) -> Section:
    return Section(
        "Every attacker",
        "each attacker is scored at the step with its best validation score",
        ("Family", "Start", "Seed", "Leakage", "Validation", "Step", "Stopped improving"),
        tuple(
            (
                one.family,
                START[one.start].lower(),
                str(one.seed),
                one.leakage,
                one.validation,
                str(one.step),
                None if one.start == "frozen" else "yes" if one.plateau else "no",
            )
            for one in sorted(c.attackers, key=lambda one: -one.leakage)
        ),
        num_words=1,
        is_detail=True,
    )


def _attributes(c: Certificate) -> Section:
    return Section(
        "Private attributes",
        "by the strongest attacker",
        ("Attribute", "AP", "Floor", "AUC", "Balanced accuracy", "F1", "F1 always yes", "Positives"),
        tuple(
            (
                *(one.name, one.ap, one.ap_floor, one.auc, one.balanced_accuracy, one.f1, one.f1_always_yes),
                str(one.num_positives),
            )
            for one in c.attributes
        ),
    )


def _reconstruction(c: Certificate) -> Section:
    one = c.reconstruction
    return Section(
        "Reconstruction",
        "leakage to recognizers that learned on raw clips",
        ("", "PSNR", "SSIM", "Leakage"),
        (
            ("Anonymized clips", f"{one.psnr_before:.1f} dB", f"{one.ssim_before:.3f}", c.leakage_frozen),
            ("Reconstructed by a U-Net", f"{one.psnr:.1f} dB", f"{one.ssim:.3f}", one.leakage),
        ),
    )


def _linkage(c: Certificate) -> Section:
    return Section(
        "Linkage",
        "how early in a ranked list a clip with the same private labels is found"
        if c.linkage
        else "none, because no test clip shares its private labels with a training clip",
        ("Gallery and query", "Rank-1", "By chance", "mAP", "By chance"),
        tuple((name, one.rank1, one.rank1_floor, one.mean_ap, one.mean_ap_floor) for name, one in c.linkage.items()),
    )


def _membership(c: Certificate) -> tuple[Section, ...]:
    """Return what a membership attack showed; nothing if training was not private."""
    found = c.membership
    if found is None:
        return ()
    rows = (
        ("claimed at most", f"{found.epsilon:.3g} at delta {found.delta:.2g}"),
        ("shown at least", f"{found.lower_bound:.3g} with {found.confidence:.0%} confidence"),
        ("right guesses", f"{found.num_right} of {found.num_guesses}, about {found.num_canaries} canaries"),
        ("can be shown at most", f"{found.largest_bound:.3g}, if every guess is right"),
    )
    note = "epsilon of one run; the training was repeated with canaries, and an attacker guessed which were in"
    return (Section("Private training", note, ("Epsilon", ""), rows, num_words=1),)


def _canaries(c: Certificate) -> Section:
    return Section(
        "Canaries",
        "anonymizers whose leakage is known",
        ("Canary", "Normalized leakage", "Must be", ""),
        tuple(
            (one.name, one.leakage_normalized, one.expected, "passed" if one.passed else "FAILED") for one in c.canaries
        ),
        num_words=2,
    )
