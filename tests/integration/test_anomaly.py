"""The utility task anomaly from a recipe to a score, a certificate, and what they are called."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from anon_tune.certificate import Subject
from anon_tune.clips import Clips, make_anomalies
from anon_tune.commands.study_clips import check_recipes, find_clips
from anon_tune.errors import RecipeError, SpaceError
from anon_tune.evaluation import Audit
from anon_tune.methods import make_recipe
from anon_tune.methods.loading import given_anonymizer
from anon_tune.recipe import AuditRecipe, Recipe
from anon_tune.search import SearchSpace
from anon_tune.trial import Ceilings, RungJob, Score
from anon_tune.worker.job import perform

CPU = torch.device("cpu")
INSIDE = "ROC AUC inside abnormal videos"
TASK = {"utility.task": "anomaly", "utility.segments": 4}
SHORT = {
    "anonymizer.base_channels": 4,
    "anonymizer.pretrain_steps": 1,
    "training.num_steps": 2,
    "training.batch_clips": 4,
    "training.warmup_steps": 1,
    "evaluation.full.attackers": "frame",
    "evaluation.full.attacker_steps": 2,
    "evaluation.full.classifier_steps": 30,
    "evaluation.num_bootstraps": 20,
    "evaluation.batch_clips": 8,
    "evaluation.width": 8,
}


@pytest.fixture(scope="module")
def anomalies(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    folder = tmp_path_factory.mktemp("anomalies") / "clips"
    return make_anomalies(folder, 1, num_train=16, num_val=10, num_test=12, num_frames=16, height=16, width=16)


def measured(recipe: Recipe, clips: Clips, folder: Path, ceilings: Ceilings | None) -> Score:
    report = perform(RungJob("0000", recipe, str(folder), 0, 2, True, ceilings), clips, CPU)
    assert report is not None
    return report.score


@pytest.fixture(scope="module")
def raw(anomalies: Clips, tmp_path_factory: pytest.TempPathFactory) -> Score:
    recipe = make_recipe({"method": "identity", **TASK, **SHORT})
    return measured(recipe, anomalies, tmp_path_factory.mktemp("raw"), None)


def test_raw_clips_are_the_ceiling_and_a_half_is_the_floor(raw: Score) -> None:
    assert (raw.task, raw.accuracy.floor, raw.accuracy.value) == ("anomaly", 0.5, raw.accuracy.ceiling)
    assert raw.accuracy.low <= raw.accuracy.value <= raw.accuracy.high
    assert raw.beside[INSIDE].floor == 0.5


def test_black_clips_are_at_the_floor(raw: Score, anomalies: Clips, tmp_path: Path) -> None:
    score = measured(make_recipe({"method": "black-out", **TASK, **SHORT}), anomalies, tmp_path, Ceilings.of(raw))
    assert (score.accuracy.value, score.accuracy.low, score.accuracy.high) == (0.5, 0.5, 0.5)
    assert score.accuracy.ceiling == raw.accuracy.value
    assert (score.beside[INSIDE].value, score.beside[INSIDE].ceiling) == (0.5, raw.beside[INSIDE].value)


@pytest.mark.parametrize("method", ["adversarial", "ted-spad", "tokens"])
def test_a_trained_method_learns_the_task(method: str, raw: Score, anomalies: Clips, tmp_path: Path) -> None:
    # A method that is no network of the table sets the values of one itself.
    own = {name: value for name, value in SHORT.items() if method != "tokens" or not name.startswith("anonymizer.")}
    recipe = make_recipe({"method": method, **TASK, **own})
    job = RungJob("0000", recipe, str(tmp_path), 0, 2, True, Ceilings.of(raw))
    report = perform(job, anomalies, CPU)
    assert report is not None
    assert 0 < report.curve[0].terms["utility"] < 2  # the ranking loss; of a cross-entropy, labels would be actions
    assert report.score.task == "anomaly"
    assert math.isfinite(report.score.accuracy.value)


def test_a_certificate_is_of_the_task(anomalies: Clips) -> None:
    effort = AuditRecipe.from_params(
        {"task": "anomaly", "segments": 4, "attackers": "frame", "num_seeds": 1, "max_steps": 2, "check_steps": 1}
        | {"classifier_steps": 2, "reconstruction_steps": 1, "num_bootstraps": 10, "width": 4}
    )
    audit = Audit(anomalies, "made", effort, None, CPU, lambda *_: None)
    anonymizer = given_anonymizer(make_recipe({"method": "black-out"}))
    found = audit.of(anonymizer, Subject(kind="method", name="black-out", method="black-out"))
    assert (found.task, found.accuracy, found.accuracy_floor, found.accuracy_interval) == (
        "anomaly",
        0.5,
        0.5,
        (0.5, 0.5),
    )
    assert found.beside[INSIDE].value == 0.5
    assert found.effort["task"] == "anomaly"
    assert any("anomaly detector was still improving" in reason for reason in found.reasons)


def space(**fixed: object) -> SearchSpace:
    methods = {"method": {"choices": ["ted-spad", "pixelate:4"]}}
    return SearchSpace.from_tables({"fixed": fixed, "search": methods}, "space")


def test_a_study_on_clips_without_the_task_ends_before_its_first_trial(anomalies: Clips, avatars: Clips) -> None:
    check_recipes(space(**TASK), anomalies, None)
    with pytest.raises(RecipeError, match="needs normal clips in the split 'train', where the action of normal ones"):
        check_recipes(space(**TASK | {"utility.segments": 1}), avatars, None)
    with pytest.raises(RecipeError, match=r"a multiple of 'utility.segments' = 5, got 16"):
        check_recipes(space(**TASK | {"utility.segments": 5}), anomalies, None)


def test_a_study_without_frame_truth_ends_before_its_first_trial(anomalies: Clips, tmp_path: Path) -> None:
    entries = tuple(replace(entry, frame_truth=None) for entry in anomalies.manifest.entries)
    blind = replace(anomalies, manifest=replace(anomalies.manifest, entries=entries))
    with pytest.raises(RecipeError, match="the task 'anomaly' needs frame truth of all clips in the split 'test'"):
        check_recipes(space(**TASK), blind, None)


def test_the_task_is_never_searched() -> None:
    tables = {"search": {"utility.task": {"choices": ["action", "anomaly"]}}}
    with pytest.raises(SpaceError, match=r"'utility.task' must not be searched, because scores could not be compared"):
        SearchSpace.from_tables(tables, "space")


def test_closed_form_methods_and_anchors_keep_the_task() -> None:
    recipes = [space(**TASK).recipe({"method": "pixelate:4"}), space(**TASK).recipe({}, "identity")]
    assert [recipe.utility.task for recipe in recipes] == ["anomaly", "anomaly"]


def test_the_built_in_set_is_made_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anomalies: Clips
) -> None:
    from anon_tune import clips
    from anon_tune.folder import Folder

    monkeypatch.setattr(clips, "make_anomalies", lambda folder: make_anomalies(folder, 0, 2, 2, 2, 16, 16, 16))
    assert find_clips("avatars-anomaly", Folder.at(tmp_path)).actions == ("abnormal", "normal")
