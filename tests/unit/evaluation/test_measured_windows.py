"""Measurement on stores that hold several windows of each clip."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from anon_tune.attackers import find
from anon_tune.certificate import Subject
from anon_tune.clips import Clips, ClipSet, make_avatars, spread_windows
from anon_tune.clips.labels import Labels
from anon_tune.clips.manifest import WindowForm
from anon_tune.clips.store import StoreWriter
from anon_tune.evaluation import measure
from anon_tune.evaluation.audit import Audit
from anon_tune.evaluation.effort import Effort
from anon_tune.evaluation.lab import Lab
from anon_tune.evaluation.raw_networks import raw_networks
from anon_tune.methods import build_anonymizer, make_recipe
from anon_tune.recipe import AuditRecipe
from anon_tune.report.certificate_sections import facts
from anon_tune.trial import Score

CPU = torch.device("cpu")
T = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stores")


@pytest.fixture(scope="module")
def whole(folder: Path) -> Clips:
    """Clips of three windows, stored as one clip each."""
    sizes = {"num_train": 24, "num_val": 24, "num_test": 24}
    return make_avatars(folder / "whole", num_frames=3 * T, height=16, width=16, **sizes)


@pytest.fixture(scope="module")
def cut(folder: Path, whole: Clips) -> Clips:
    """The same clips as three windows each."""
    with StoreWriter(folder / "cut", (T, *whole.shape[1:]), windows=WindowForm(3 * T, T)) as writer:
        for entry, frames in zip(whole.manifest.entries, whole._frames, strict=True):
            fields = {name: getattr(entry, name) for name in Labels.__slots__}
            writer.add(Labels(**fields), np.array(frames), (0, 3 * T))
        return writer.finish(whole.attributes, whole.fps, "cut")


def lab_of(clips: Clips, **values: Any) -> Lab:
    recipe = make_recipe({"evaluation.full.attacker_steps": 2, "evaluation.full.classifier_steps": 2, **values})
    splits = {
        name: spread_windows(clips.split(name), recipe.evaluation.num_windows) for name in ("train", "val", "test")
    }
    return Lab(splits, Effort.of_study(recipe.evaluation, full=True), CPU)


def of_window(splits: Mapping[str, ClipSet], name: str, k: int) -> ClipSet:
    rows = splits[name]
    return replace(rows, frames=rows.frames[k::3], private=rows.private[k::3], actions=rows.actions[k::3],
                   groups=rows.groups[k::3], ids=rows.ids[k::3], num_windows=1)  # fmt: skip


@pytest.mark.parametrize("name", ["motion", "pixels", "descriptors"])
def test_an_attacker_says_of_a_clip_the_mean_over_its_windows(cut: Clips, name: str) -> None:
    lab = lab_of(cut)
    attack = lab.attack(find(name), "fresh", 0)
    assert attack.scores["test"].shape == (24, len(cut.attributes))
    if attack.network is not None:
        each = [lab.score_private(attack.network, find(name), of_window(lab.splits, "test", k)) for k in range(3)]
        assert np.allclose(attack.scores["test"], np.mean(each, axis=0), atol=2e-5)
        assert not np.allclose(attack.scores["test"], each[0], atol=2e-5)


def test_the_classifier_says_of_a_clip_the_mean_over_its_windows(cut: Clips) -> None:
    lab = lab_of(cut)
    network, _ = lab.classifier(len(cut.actions))
    each = [lab.predict(network, of_window(lab.splits, "val", k)) for k in range(3)]
    assert np.allclose(lab.predict(network, lab.splits["val"]), np.mean(each, axis=0), atol=2e-5)
    assert lab.features(network, lab.splits["val"]).shape[0] == 24


def score(clips: Clips, **values: Any) -> Score:
    efforts = {
        f"evaluation.{effort}.{name}_steps": 2 for effort in ("rung", "full") for name in ("attacker", "classifier")
    }
    chosen = {"evaluation.full.attackers": "frame,motion", "evaluation.num_bootstraps": 5, **efforts, **values}
    recipe = make_recipe({"method": "pixelate:4", **chosen})
    raw = raw_networks(clips, recipe.evaluation, CPU)
    return replace(
        measure(build_anonymizer(recipe), clips, recipe.evaluation, True, None, CPU, raw=raw),
        seconds=0.0, seconds_per_frame=0.0,
    )  # fmt: skip


def test_a_score_counts_clips_and_not_windows(cut: Clips) -> None:
    found = score(cut)
    assert (found.num_train_clips, found.num_test_clips) == (24, 24)
    assert found.accuracy.value * 24 == pytest.approx(round(found.accuracy.value * 24))
    assert found != score(cut, **{"evaluation.num_windows": 1})


def test_the_number_of_windows_changes_nothing_where_there_is_one(whole: Clips) -> None:
    assert score(whole) == score(whole, **{"evaluation.num_windows": 1})


def test_an_audit_counts_clips_and_not_windows(cut: Clips) -> None:
    few = {"num_seeds": 1, "max_steps": 2, "check_steps": 1, "classifier_steps": 2, "reconstruction_steps": 2}
    effort = AuditRecipe.from_params({**few, "num_bootstraps": 5, "attackers": "frame,motion"})
    recipe = make_recipe({"method": "pixelate:4"})
    audit = Audit(cut, "cut", effort, None, CPU, lambda *_: None)
    subject = Subject(kind="method", name="pixelate:4", fingerprint=recipe.fingerprint(), method=recipe.method)
    made = audit.of(build_anonymizer(recipe), subject)
    assert (made.data.num_train_clips, made.data.num_validation_clips, made.data.num_test_clips) == (24, 24, 24)
    assert made.accuracy * 24 == pytest.approx(round(made.accuracy * 24))
    assert (made.effort["num_windows"], made.data.num_windows) == (5, 3)
    assert "24 test clips, 3 windows of each." in facts(made)[0]
