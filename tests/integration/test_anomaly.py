"""The utility task anomaly from a recipe to a score, a certificate, and what they are called."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from anon_tune.certificate import Subject
from anon_tune.clips import Clips, ClipSet, make_anomalies
from anon_tune.clips.manifest import SPLITS
from anon_tune.commands.audit import _of_task
from anon_tune.commands.audit_subject import Case
from anon_tune.commands.study_clips import check_recipes, find_clips
from anon_tune.errors import RecipeError, SpaceError
from anon_tune.evaluation import Audit, fit
from anon_tune.folder import File
from anon_tune.methods import make_recipe
from anon_tune.methods.loading import given_anonymizer
from anon_tune.recipe import AuditRecipe, Recipe
from anon_tune.search import SearchSpace
from anon_tune.trial import Ceilings, RungJob, Score
from anon_tune.worker.job import perform
from anon_tune.worker.timing import Bench, time_recipe

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
    with pytest.raises(RecipeError, match="is a multiple of 5, the number of segments, got 16"):
        check_recipes(space(**TASK | {"utility.segments": 5}), anomalies, None)


def test_a_study_without_frame_truth_ends_before_its_first_trial(anomalies: Clips, tmp_path: Path) -> None:
    entries = tuple(replace(entry, frame_truth=None) for entry in anomalies.manifest.entries)
    blind = replace(anomalies, manifest=replace(anomalies.manifest, entries=entries))
    with pytest.raises(RecipeError, match="the task 'anomaly' needs frame truth of all clips in the split 'test'"):
        check_recipes(space(**TASK), blind, None)


def test_attackers_outside_the_training_split_need_clips_of_both_kinds(anomalies: Clips) -> None:
    outside = space(**TASK, **{"evaluation.attackers_learn_on": "outside"})
    entries = sorted(anomalies.manifest.entries, key=lambda one: (SPLITS.index(one.split), one.action))
    parted = tuple(replace(one, group=f"{at:03d}") for at, one in enumerate(entries))  # the last groups are normal
    clips = replace(anomalies, manifest=replace(anomalies.manifest, entries=parted))
    check_recipes(space(**TASK), clips, None)
    with pytest.raises(RecipeError, match=r"= 'outside': the task 'anomaly' needs abnormal clips in the split 'val'"):
        check_recipes(outside, clips, None)


def test_an_audit_keeps_the_task_that_was_asked_for(anomalies: Clips) -> None:
    subject = Subject(kind="file", name="x", method="black-out")
    case = Case(subject, anomalies, anomalies, "made", Path(), recipe=make_recipe({"method": "black-out", **TASK}))
    trial = replace(case, kept=File.at(Path("0000.json")))

    def found(case: Case, **given: object) -> tuple[str, int]:
        effort = _of_task(AuditRecipe.from_params(given), case)
        return effort.task, effort.segments

    assert found(case) == found(trial) == found(trial, task="action", segments=2) == ("anomaly", 4)
    assert found(case, task="action") == ("action", 4) and found(case, segments=2) == ("anomaly", 2)


def test_a_plan_times_the_network_of_the_task(anomalies: Clips, monkeypatch: pytest.MonkeyPatch) -> None:
    targets: set[str] = set()

    def told(network: torch.nn.Module, train: ClipSet, val: ClipSet, target: str, *rest: object) -> object:
        targets.add(target)
        return fit(network, train, val, target, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("anon_tune.evaluation.lab.fit", told)
    recipe = make_recipe({"method": "blur:2", **TASK, "evaluation.full.attackers": "frame", "evaluation.width": 4})
    time_recipe(Bench(str(anomalies.directory)), recipe, measure=True)
    assert targets == {"private", "anomaly"}


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
