"""Leakage certificates as a section of the page, and their words, which the terminal shares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from anon_tune.certificate import Attacker, Certificate, Interval, read_certificate
from anon_tune.errors import StudyError
from anon_tune.report.tables import CAVEAT
from anon_tune.report.wording import NOTHING, duration, percent, text
from anon_tune.study_directory import StudyDirectory

__all__ = ["CAVEAT", "MEANING", "START", "by_family", "certificate_cards"]

MEANING = {
    "CERTIFIED": "every attacker stopped to improve, and every canary came out as it must.",
    "LOWER_BOUND": "an attacker still improved when it had to stop, or was given less than usual; more may be found.",
    "REFUSED": "a check of the measurement itself failed; its numbers say nothing about the anonymizer.",
}
"""What a status says, by status."""

START = {"fresh": "fresh", "raw": "started from raw", "frozen": "learned on raw only"}
"""What an attacker began with, in words."""


def by_family(certificate: Certificate) -> dict[str, dict[str, list[Attacker]]]:
    """Group attackers by family and start, in the order of the certificate."""
    grouped: dict[str, dict[str, list[Attacker]]] = {}
    for attacker in certificate.attackers:
        grouped.setdefault(attacker.family, {}).setdefault(attacker.start, []).append(attacker)
    return grouped


def certificate_cards(study: StudyDirectory) -> str:
    """Return a card for every certificate of a study; empty if there is none.

    A file that is no certificate is named with what is wrong with it: the rest of a report stands.
    """
    cards = []
    for stem, file in study.certificates():
        try:
            with file.reading() as path:
                cards.append(_card(stem, read_certificate(path)))
        except StudyError as error:
            cards.append(f'<article class="card"><h3>{text(stem)}</h3><p class="failed">{text(error)}</p></article>')
    return f'<div class="cards">{"".join(cards)}</div>' if cards else ""


def _card(name: str, c: Certificate) -> str:
    reasons = "".join(f"<li>{text(reason)}</li>" for reason in c.reasons)
    kind = {"CERTIFIED": "complete", "REFUSED": "failed"}.get(c.status, "")
    method = f" · {text(c.subject.method)}" if c.subject.method not in (c.subject.name, "unknown") else ""
    codec = f", through {text(c.data.codec)}" if c.data.codec else ""
    return (
        f'<article class="card" id="certificate-{text(name)}">'
        f"<h3>{text(c.subject.kind)} {text(c.subject.name)}{method}</h3>"
        f'<p><b class="{kind}">{c.status.replace("_", " ")}</b>: {MEANING[c.status]}</p>'
        f"{reasons and f'<ul>{reasons}</ul>'}"
        f'<p class="note">On {text(c.data.clips)}, {c.data.num_test_clips} test clips{codec}; intervals resample '
        f"{c.data.resampled}s. Strongest attacker: {text(c.strongest)}. {duration(c.seconds)}, {text(c.created)}.</p>"
        f"{_top(c)}"
        f"<details><summary>Attackers</summary>{_attackers(c)}</details>"
        f"<details><summary>Private attributes</summary>{_attributes(c)}</details>"
        f"<details><summary>Reconstruction and linkage</summary>{_reconstruction(c)}{_linkage(c)}</details>"
        f"<details><summary>Canaries</summary>{_canaries(c)}</details></article>"
    )


def _top(c: Certificate) -> str:
    head = ("", f"value [{percent(c.confidence)} interval]", "floor", "ceiling", "normalized", "frozen")
    rows = [
        (
            "Leakage",
            _with_interval(c.leakage, c.leakage_interval),
            *map(percent, (c.leakage_floor, c.leakage_ceiling, c.leakage_normalized, c.leakage_frozen)),
        ),
        ("Leakage by chance, at most", percent(c.leakage_by_chance), "", "", "", ""),
        (
            "Accuracy",
            _with_interval(c.accuracy, c.accuracy_interval),
            *map(percent, (c.accuracy_floor, c.accuracy_ceiling)),
            "",
            percent(c.accuracy_frozen),
        ),
    ]
    return _table(head, rows)


def _attackers(c: Certificate) -> str:
    rows = [
        (
            one.family,
            START[one.start],
            str(one.seed),
            percent(one.leakage),
            percent(one.validation),
            str(one.step),
            "" if one.start == "frozen" else "yes" if one.plateau else "no",
        )
        for one in sorted(c.attackers, key=lambda one: -one.leakage)
    ]
    return _table(("Family", "Start", "Seed", "Leakage", "Validation", "Step", "Stopped to improve"), rows)


def _attributes(c: Certificate) -> str:
    rows = [
        (
            one.name,
            *map(percent, (one.ap, one.ap_floor, one.auc, one.balanced_accuracy, one.f1, one.f1_always_yes)),
            str(one.num_positives),
        )
        for one in c.attributes
    ]
    return _table(("Attribute", "AP", "Floor", "AUC", "Balanced accuracy", "F1", "F1 always yes", "Positives"), rows)


def _reconstruction(c: Certificate) -> str:
    one = c.reconstruction
    rows = [
        ("Anonymized clips", f"{one.psnr_before:.1f} dB", f"{one.ssim_before:.3f}", percent(c.leakage_frozen)),
        ("Reconstructed by a U-Net", f"{one.psnr:.1f} dB", f"{one.ssim:.3f}", percent(one.leakage)),
    ]
    return _table(("", "PSNR", "SSIM", "Leakage to recognizers of raw clips"), rows)


def _linkage(c: Certificate) -> str:
    rows = [
        (name, *map(percent, (one.rank1, one.rank1_floor, one.mean_ap, one.mean_ap_floor)))
        for name, one in c.linkage.items()
    ]
    if not rows:
        return '<p class="none">No linkage: no test clip shares its private labels with a training clip.</p>'
    return _table(("Gallery and query", "Rank-1", "By chance", "mAP", "By chance"), rows)


def _canaries(c: Certificate) -> str:
    rows = [
        (one.name, percent(one.leakage_normalized), one.expected, "passed" if one.passed else "FAILED")
        for one in c.canaries
    ]
    return _table(("Canary", "Normalized leakage", "Must be", ""), rows)


def _with_interval(value: float, interval: Interval) -> str:
    return f"{percent(value)} [{percent(interval[0])}, {percent(interval[1])}]"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; every cell is escaped here."""
    heads = "".join(f'<th scope="col">{text(name)}</th>' for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{text(cell or NOTHING)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'
