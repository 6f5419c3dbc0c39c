"""An audit from raw and anonymized clips to a certificate, with small attackers on the built-in clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anon_tune.attackers import AttackerSpec, find
from anon_tune.certificate import COMMITTEE, Canary, Certificate, Subject, read_certificate
from anon_tune.clips import Clips, ClipSet, make_avatars
from anon_tune.errors import DataError
from anon_tune.evaluation import Baseline, anonymize_split, canaries, certify, class_mean_ap, count_data, make_baseline
from anon_tune.evaluation.certify import _linkage, _status
from anon_tune.evaluation.effort import Effort
from anon_tune.evaluation.lab import Attack, Lab, Pieces
from anon_tune.evaluation.metrics import prevalence
from anon_tune.folder import File
from anon_tune.methods import build_anonymizer
from anon_tune.recipe import AuditRecipe, Recipe

pytestmark = pytest.mark.trains

CPU = torch.device("cpu")
EFFORT = AuditRecipe(
    attackers=("frame", "pixels"),
    num_seeds=1,
    max_steps=400,
    check_steps=20,
    patience=2,
    classifier_steps=40,
    reconstruction_steps=30,
    num_bootstraps=100,
    width=8,
)
Splits = Mapping[str, ClipSet]


def quiet(what: str, done: int, total: int) -> None:
    assert what
    assert 0 <= done <= total


@pytest.fixture(scope="module")
def raw(avatars: Clips) -> dict[str, ClipSet]:
    return {name: avatars.split(name) for name in ("train", "val", "test")}


@pytest.fixture(scope="module")
def baseline(raw: Splits) -> Baseline:
    return make_baseline(raw, EFFORT, CPU, quiet)


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ClipSet]:
    """More clips of that size, whose intervals are narrow enough to tell a broken lab from bad luck."""
    folder = tmp_path_factory.mktemp("clips") / "several"
    clips = make_avatars(folder, num_train=64, num_val=120, num_test=120, num_frames=4, height=16, width=20)
    return {name: clips.split(name) for name in ("train", "val", "test")}


@pytest.fixture(scope="module")
def their_baseline(several: Splits) -> Baseline:
    return make_baseline(several, EFFORT, CPU, quiet)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("changed")


def audited(clips: Clips, raw: Splits, baseline: Baseline, method: str, folder: Path) -> Certificate:
    anonymizer = build_anonymizer(Recipe(method=method))
    changed = {n: anonymize_split(anonymizer, s, folder / f"{method}-{n}", 16, CPU).clips for n, s in raw.items()}
    subject = Subject(kind="method", name=method, method=method, fingerprint="")
    data = count_data(raw, "avatars", clips.fingerprint, clips.attributes, clips.actions)
    return certify(raw, changed, baseline, subject, data, baseline.effort, CPU, quiet)


def timeless(certificate: Certificate) -> dict[str, Any]:
    return certificate.model_dump(exclude={"seconds", "created"})


def test_raw_clips_leak_what_they_leak(avatars: Clips, raw: Splits, baseline: Baseline, scratch: Path) -> None:
    found = audited(avatars, raw, baseline, "identity", scratch)
    # The same attackers, seeds and clips as in the baseline: equal, not merely near.
    assert found.leakage == found.leakage_ceiling == baseline.leakage_ceiling
    assert found.leakage_normalized == 1
    assert found.accuracy == found.accuracy_ceiling == found.accuracy_frozen
    assert found.distortion == 0
    # All attackers stopped improving, but had less effort than the default; a plateau does not make up for that.
    assert found.status == "LOWER_BOUND"
    assert any("num_seeds is 1, below the default of 3" in reason for reason in found.reasons)
    assert not any("attackers were still improving" in reason for reason in found.reasons)
    assert _status(found.attackers, False, replace(baseline, effort=AuditRecipe())) == ("CERTIFIED", ())
    for name in ("reconstruction_steps", "num_bootstraps"):
        less = AuditRecipe.from_params({name: 1})
        status, (reason,) = _status(found.attackers, False, replace(baseline, effort=less))
        assert status == "LOWER_BOUND" and reason.startswith(f"{name} is 1, below the default of ")
    assert found.leakage_by_chance > found.leakage_floor
    assert found.leakage == max(a.leakage for a in found.attackers)
    assert {(a.family, a.start) for a in found.attackers} == {
        (family, start) for family in (*EFFORT.attackers, COMMITTEE) for start in ("fresh", "raw", "frozen")
    }
    assert np.mean([a.ap for a in found.attributes]) == pytest.approx(found.leakage)
    assert found.leakage_interval[0] <= found.leakage <= found.leakage_interval[1]
    assert found.reconstruction.psnr_before > 58
    assert found.reconstruction.psnr > 12


@pytest.fixture(scope="module")
def black(avatars: Clips, raw: Splits, baseline: Baseline, scratch: Path) -> Certificate:
    return audited(avatars, raw, baseline, "black-out", scratch)


def test_black_clips_are_at_the_floor(raw: Splits, black: Certificate, tmp_path: Path) -> None:
    found = black
    assert found.leakage == pytest.approx(found.leakage_floor, abs=1e-12)
    assert found.leakage_floor == pytest.approx(prevalence(raw["test"].private))
    assert found.accuracy == found.accuracy_floor
    assert found.reconstruction.leakage == pytest.approx(found.leakage_floor)
    assert all(a.f1 == pytest.approx(a.f1_always_yes) and a.auc == 0.5 for a in found.attributes)
    (tmp_path / "c.json").write_text(found.to_json())
    assert read_certificate(tmp_path / "c.json") == found


@pytest.fixture(scope="module")
def negative(avatars: Clips, raw: Splits, baseline: Baseline, scratch: Path) -> Certificate:
    return audited(avatars, raw, baseline, "negative", scratch)


def test_the_negative_fools_frozen_attackers_only(negative: Certificate) -> None:
    found = negative
    span = found.leakage_ceiling - found.leakage_floor
    assert found.leakage_normalized > 0.8
    assert (found.leakage_frozen - found.leakage_floor) / span < 0.5
    assert found.distortion > 0.3


def test_a_kept_baseline_gives_the_same_certificate(
    avatars: Clips, raw: Splits, baseline: Baseline, negative: Certificate, tmp_path: Path
) -> None:
    file = File.at(tmp_path / "baseline.safetensors")
    baseline.keep(file, "these clips")
    loaded = Baseline.kept(file, "these clips")
    assert loaded is not None
    assert timeless(audited(avatars, raw, loaded, "negative", tmp_path)) == timeless(negative)
    assert Baseline.kept(file, "other clips") is None
    content = file.read()
    for damaged in (b"not weights", content[:-1000], content[:-1] + bytes([content[-1] ^ 1])):
        file.write(damaged)
        assert Baseline.kept(file, "these clips") is None


def test_attackers_that_still_learn_make_a_lower_bound(
    avatars: Clips, raw: Splits, baseline: Baseline, scratch: Path
) -> None:
    short = EFFORT.model_copy(update={"max_steps": 3})
    rising = replace(baseline, effort=short)
    found = audited(avatars, raw, rising, "identity", scratch)
    assert found.status == "LOWER_BOUND"
    reason = (
        "4 of 6 attackers were still improving at their last step: "
        "frame (fresh), frame (raw), pixels (fresh), pixels (raw)"
    )
    assert reason in found.reasons


def test_a_negative_is_linked_to_raw_clips_by_who_knows_both(avatars: Clips, raw: Splits, scratch: Path) -> None:
    one = {n: replace(s, private=s.private[:, :1]) for n, s in raw.items()}
    negative = build_anonymizer(Recipe(method="negative"))
    changed = {n: anonymize_split(negative, s, scratch / f"linked-{n}", 16, CPU).clips for n, s in one.items()}
    frozen, knows = (Lab(clips, Effort.of_audit(EFFORT), CPU, Pieces(quiet, 9)) for clips in (one, changed))
    recognizer, best = (lab.attack(find("frame"), "fresh", 0).network for lab in (frozen, knows))
    assert recognizer is not None and best is not None
    blind = _linkage(knows, one, changed, recognizer, recognizer)["raw to anonymized"]
    sees = _linkage(knows, one, changed, recognizer, best)["raw to anonymized"]
    assert sees.mean_ap > blind.mean_ap


def test_labels_that_know_each_other_are_linked(avatars: Clips, raw: Splits, black: Certificate) -> None:
    # Few persons share all six labels; one attribute is shared by many.
    one = {n: replace(s, private=s.private[:, :1]) for n, s in raw.items()}
    effort = EFFORT.model_copy(update={"attackers": ("frame",), "max_steps": 160})
    base = make_baseline(one, effort, CPU, quiet)
    data = count_data(one, "avatars", "", avatars.attributes[:1], avatars.actions)
    found = certify(
        one, one, base, Subject(kind="folder", name="x", method="unknown", fingerprint=""), data, effort, CPU, quiet
    )
    assert set(found.linkage) == {"raw to anonymized", "anonymized to anonymized"}
    for link in found.linkage.values():
        assert link.mean_ap > link.mean_ap_floor + 0.05
    assert black.linkage == {}


def test_clips_of_others_are_refused(avatars: Clips, raw: Splits, baseline: Baseline) -> None:
    data = count_data(raw, "avatars", "", avatars.attributes, avatars.actions)
    subject = Subject(kind="folder", name="x", method="unknown", fingerprint="")

    def refused(changed: Splits, match: str, raw: Splits = raw, effort: AuditRecipe = EFFORT) -> None:
        with pytest.raises(DataError, match=match):
            certify(raw, changed, baseline, subject, data, effort, CPU, quiet)

    val = raw["val"]
    refused({**raw, "val": replace(val, frames=val.frames[:, :2])}, "'val' must have the raw clips' shape")
    refused({**raw, "val": replace(val, private=1 - val.private)}, "'val' must have the raw clips' labels")
    refused(raw, "another effort", effort=EFFORT.model_copy(update={"seed": 1}))
    darker = {**raw, "val": replace(val, frames=val.frames // 2)}
    refused(darker, "other clips", raw=darker)


class MemorizingLab(Lab):
    """An attacker that trains on its test clips."""

    def attack(self, *args: Any) -> Attack:
        self.splits = {**self.splits, "train": self.splits["test"], "val": self.splits["test"]}
        return super().attack(*args)


class LazyLab(Lab):
    """An attacker that does not train."""

    def attack(self, spec: AttackerSpec, start: Any, seed: int, weights: Any = None) -> Attack:
        return super().attack(spec, "frozen", seed, weights)


class SwappingLab(Lab):
    """An attacker that confuses the attributes."""

    def score_private(self, network: Any, spec: AttackerSpec, clips: ClipSet) -> Any:
        return np.roll(super().score_private(network, spec, clips), 1, axis=1)


def judged(raw: Splits, baseline: Baseline, monkeypatch: pytest.MonkeyPatch, name: str) -> Canary:
    """Keep only one canary."""
    monkeypatch.setattr(canaries, "CANARIES", (name,))
    fresh = [attacker for attacker in baseline.attackers if attacker.start == "fresh"]
    (canary,) = canaries.keep_canaries(raw, fresh, EFFORT, CPU, Pieces(quiet, len(EFFORT.attackers)))
    return canary


@pytest.mark.parametrize(
    ("broken", "caught"),
    [(MemorizingLab, "shuffled"), (LazyLab, "negative"), (SwappingLab, "identity")],
)
def test_every_canary_catches_what_it_is_there_for(
    several: Splits, their_baseline: Baseline, monkeypatch: pytest.MonkeyPatch, broken: type[Lab], caught: str
) -> None:
    assert all(canary.passed for canary in their_baseline.canaries)
    monkeypatch.setattr(canaries, "Lab", broken)
    assert not judged(several, their_baseline, monkeypatch, caught).passed


def test_the_constant_canary_sees_clips_that_were_not_changed(
    raw: Splits, baseline: Baseline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canaries, "_disguise", lambda name, raw, *_: raw)
    assert not judged(raw, baseline, monkeypatch, "constant").passed


def test_without_anything_to_leak_there_is_nothing_to_normalize_by(raw: Splits, baseline: Baseline) -> None:
    # Clips that are all black leak nothing, raw as they are.
    black = {n: replace(s, frames=np.zeros_like(s.frames)) for n, s in raw.items()}
    effort = EFFORT.model_copy(update={"attackers": ("pixels",)})
    found = make_baseline(black, effort, CPU, quiet)
    passed = {canary.name: canary.passed for canary in found.canaries}
    assert passed == {"identity": False, "constant": True, "negative": False, "shuffled": True}
    words = " ".join(f"{canary.expected} {canary.leakage_normalized}" for canary in found.canaries)
    assert "-0.000" not in words and "nan to" not in words


def test_a_failed_canary_refuses(avatars: Clips, raw: Splits, baseline: Baseline, scratch: Path) -> None:
    dead = Canary(name="negative", leakage_normalized=0.4, expected="at least 0.9", passed=False)
    failed = replace(baseline, canaries=tuple(dead if c.name == "negative" else c for c in baseline.canaries))
    found = audited(avatars, raw, failed, "black-out", scratch)
    assert found.status == "REFUSED"
    assert found.reasons[0] == "canary 'negative': normalized leakage must be at least 0.9, got 0.400"
    assert found.canaries == failed.canaries
    assert class_mean_ap(np.zeros((24, 6)), raw["test"].private) == pytest.approx(found.leakage)
