from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from anon_tune.certificate import Certificate
from anon_tune.recipe import MEASURE_VERSION
from anon_tune.report import write_report
from anon_tune.report.certificate_sections import MEANING, by_family
from anon_tune.report.certificates import certificate_cards
from anon_tune.study.certified import all_certificates_of, certificates_of, has_effort
from anon_tune.study_directory import StudyDirectory
from anon_tune.trial import Trial, TrialState

NASTY = "<script>alert(1)</script>"


def certificate(nasty: str = NASTY, **changes: Any) -> Certificate:
    """A certificate with made-up numbers; every free text of it holds HTML."""
    attackers = [
        {
            "family": family,
            "start": start,
            "seed": seed,
            "leakage": 0.5 + 0.1 * seed,
            "validation": 0.55,
            "step": 0 if start == "frozen" else 120,
            "plateau": not (family == "clip" and seed == 1),
        }
        for family in ("frame", "clip")
        for start in ("fresh", "raw", "frozen")
        for seed in (0, 1)
    ]
    values = {
        "schema": "anon_tune.certificate/1",
        "status": "LOWER_BOUND",
        "reasons": [f"clip, fresh, seed 1 still improved at step 120 {nasty}"],
        "subject": {"kind": "trial", "name": f"0007{nasty}", "method": f"adversarial{nasty}", "fingerprint": "f" * 16},
        "data": {
            "clips": f"avatars{nasty}",
            "fingerprint": "a" * 16,
            "num_train_clips": 480,
            "num_validation_clips": 160,
            "num_test_clips": 240,
            "attributes": [f"hair{nasty}"],
            "actions": ["walk"],
            "resampled": "group",
            "codec": f"h264, crf 23{nasty}",
        },
        "leakage": 0.712,
        "leakage_floor": 0.4,
        "leakage_ceiling": 0.98,
        "leakage_normalized": 0.538,
        "leakage_interval": [0.65, 0.77],
        "leakage_by_chance": 0.55,
        "accuracy": 0.834,
        "accuracy_floor": 0.167,
        "accuracy_ceiling": 0.95,
        "accuracy_interval": [0.78, 0.88],
        "accuracy_frozen": 0.221,
        "leakage_frozen": 0.432,
        "distortion": 0.2,
        "strongest": f"frame, fresh, seed 1{nasty}",
        "attackers": attackers,
        "attributes": [
            {
                "name": f"hair{nasty}",
                "ap": 0.8,
                "ap_floor": 0.5,
                "auc": 0.81,
                "balanced_accuracy": 0.73,
                "f1": 0.76,
                "f1_always_yes": 0.667,
                "num_positives": 120,
            }
        ],
        "reconstruction": {"psnr": 21.5, "ssim": 0.71, "psnr_before": 14.2, "ssim_before": 0.33, "leakage": 0.61},
        "linkage": {
            "raw to anonymized": {"rank1": 0.2, "rank1_floor": 0.1, "mean_ap": 0.3, "mean_ap_floor": 0.12},
            "anonymized to anonymized": {"rank1": 0.4, "rank1_floor": 0.1, "mean_ap": 0.35, "mean_ap_floor": 0.12},
        },
        "canaries": [
            {
                "name": "identity",
                "leakage_normalized": 1.01,
                "expected": f"at least 0.9{nasty}",
                "passed": True,
            }
        ],
        "confidence": 0.95,
        "effort": {"max_steps": 120},
        "seconds": 90.0,
        "versions": {"anon_tune": "0.1.0"},
        "created": f"2026-01-01T00:00:00Z{NASTY}",
    }
    return Certificate.model_validate(values | changes)


def cards(directory: Path, **named: Certificate) -> str:
    study = StudyDirectory.at(directory)
    for name, one in named.items():
        study.certificate(name).write(one.to_json().encode())
    return certificate_cards(study)


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.words += data + " "


def read(html: str) -> _Words:
    parser = _Words()
    parser.feed(html)
    return parser


def test_no_text_of_a_certificate_becomes_html(tmp_path: Path) -> None:
    page = read(cards(tmp_path, nasty=certificate()))
    assert "script" not in page.tags
    assert page.words.count(NASTY) == 9  # all free texts of `certificate`, and nothing is dropped


def test_the_top_numbers_stand_beside_floor_ceiling_and_interval(tmp_path: Path) -> None:
    words = re.sub(r"\s+", " ", read(cards(tmp_path, one=certificate())).words)
    assert "Leakage 71.2% [65.0%, 77.0%] 40.0% 98.0% 53.8% 43.2%" in words
    assert "Accuracy 83.4% [78.0%, 88.0%] 16.7% 95.0% — 22.1%" in words
    assert "Reconstructed by a U-Net 21.5 dB 0.710 61.0%" in words
    assert "raw to anonymized 20.0% 10.0% 30.0% 12.0%" in words


@pytest.mark.parametrize("status", MEANING)
def test_every_status_is_said_in_words(tmp_path: Path, status: str) -> None:
    words = read(cards(tmp_path, one=certificate(status=status, reasons=[]))).words
    assert status.replace("_", " ") in words
    assert MEANING[status] in words


def test_a_number_that_is_not_there_is_a_dash(tmp_path: Path) -> None:
    nothing = certificate(leakage_normalized=float("nan"))
    assert nothing.to_json().count("null") == 1
    words = re.sub(r"\s+", " ", read(cards(tmp_path, one=nothing)).words)
    assert "40.0% 98.0% — 43.2%" in words


def test_attackers_are_grouped_by_family_and_start() -> None:
    grouped = by_family(certificate())
    assert list(grouped) == ["frame", "clip"]
    assert {start: [one.seed for one in found] for start, found in grouped["clip"].items()} == {
        "fresh": [0, 1],
        "raw": [0, 1],
        "frozen": [0, 1],
    }


def test_a_file_that_is_no_certificate_is_named_and_the_others_shown(tmp_path: Path) -> None:
    StudyDirectory.at(tmp_path).audits.path.mkdir(exist_ok=True)
    (tmp_path / "audits" / "broken.json").write_text(f'{{"schema": "{NASTY}"}}', encoding="utf-8")
    (tmp_path / "audits" / "bytes.json").write_bytes(b"\xff\xfe")
    page = read(cards(tmp_path, whole=certificate()))
    assert "broken.json: is no certificate" in page.words
    assert "bytes.json: is no certificate" in page.words
    assert "71.2%" in page.words
    assert "script" not in page.tags


def test_the_report_shows_the_certificates_of_a_study(tmp_path: Path) -> None:
    before = write_report(tmp_path).read_text("utf-8")
    assert "no trial was certified" in before
    cards(tmp_path, **{"0007": certificate()})
    after = write_report(tmp_path).read_text("utf-8")
    assert 'id="certificate-0007"' in after
    assert "has measured no trial" not in after
    assert NASTY not in after


def test_only_certificates_that_hold_for_a_trial_are_its_numbers(tmp_path: Path) -> None:
    trials = [Trial(f"000{n}", n, "adversarial", {}, "f" * 16, TrialState.COMPLETE) for n in range(5)]
    own, measured = {"subject": {"kind": "trial", "name": "t", "method": "m", "fingerprint": "f" * 16}}, MEASURE_VERSION
    other = {"subject": own["subject"] | {"fingerprint": "e" * 16}}
    cards(
        tmp_path,
        **{
            "0000": certificate(**own, measure_version=measured),
            "0001": certificate(**own, measure_version=measured, status="REFUSED"),
            "0002": certificate(**own, measure_version=measured - 1),
            "0003": certificate(**other, measure_version=measured),
            "gone": certificate(**own, measure_version=measured),
        },
    )
    (tmp_path / "audits" / "0004.json").write_text("no certificate")
    assert list(certificates_of(tmp_path, trials)) == ["0000"]
    assert list(all_certificates_of(tmp_path, trials)) == ["0000", "0001"]


@pytest.mark.parametrize(
    ("asked", "has"),
    [
        ({"num_seeds": 2, "max_steps": 8}, True),
        ({"num_seeds": 1, "max_steps": 8}, True),
        ({"num_seeds": 3, "max_steps": 8}, False),
        ({"num_seeds": 2, "max_steps": 9}, False),
        ({"num_seeds": 2, "max_steps": 8, "num_windows": 3}, False),  # of a value that came later
    ],
)
def test_a_certificate_counts_for_its_effort_or_fewer_seeds(asked: dict[str, int], has: bool) -> None:
    usual = {"num_seeds": 3, "max_steps": 3200, "num_windows": 5}
    asked = {"num_windows": 5, **asked}
    assert has_effort(certificate(effort={"num_seeds": 2, "max_steps": 8}), asked, usual) is has
