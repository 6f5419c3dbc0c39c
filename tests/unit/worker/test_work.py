from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torchvision.io import read_image

from anon_tune.clips import Clips
from anon_tune.errors import AnonTuneError, DataError
from anon_tune.methods import build_anonymizer, find, make_recipe, read_recipe
from anon_tune.networks.weights import read_tensors
from anon_tune.recipe import Recipe
from anon_tune.trial import Ceilings, LossPoint, RungJob, RungReport, Score
from anon_tune.worker import ClipTrialBody
from anon_tune.worker.job import perform

pytestmark = pytest.mark.trains

CPU = torch.device("cpu")
Build = Callable[..., Recipe]


def job(recipe: Recipe, directory: Path, rung: int = 0, step: int = 6, full: bool = True) -> RungJob:
    return RungJob("0007", recipe, str(directory), rung, step, full, Ceilings(0.9, 0.8))


def untimed(report: RungReport) -> Score:
    """Return what two equal measurements have in common."""
    return replace(report.score, seconds=0, seconds_per_frame=0)


def done(job: RungJob, clips: Clips) -> RungReport:
    report = perform(job, clips, CPU)
    assert report is not None
    return report


def names(directory: Path) -> list[str]:
    return sorted(p.name for p in directory.iterdir())


def test_a_trial_goes_from_rung_to_rung_and_leaves_its_files(
    avatars: Clips, tiny_recipe: Build, tmp_path: Path
) -> None:
    recipe = tiny_recipe()
    directory = tmp_path / "trials" / "0007"
    first = done(job(recipe, directory, 0, 2, full=False), avatars)
    assert names(directory) == ["anonymizer.safetensors", "trainer.safetensors"]
    last = done(job(recipe, directory, 1, 6), avatars)
    assert names(directory) == ["anonymizer.safetensors", "preview.png", "preview.webm"]

    assert (first.trial_id, first.rung, first.step, first.score.full) == ("0007", 0, 2, False)
    assert (last.trial_id, last.rung, last.step, last.score.full) == ("0007", 1, 6, True)
    assert [p.step for p in first.curve] == [0, 1]
    assert [p.step for p in last.curve] == [2, 3, 4, 5]
    assert last.score.leakage.ceiling == 0.9
    assert last.score.accuracy.ceiling == 0.8
    assert last.node
    assert 0 < last.score.seconds <= last.seconds

    assert last.weights == "trials/0007/anonymizer.safetensors"
    tensors, metadata = read_tensors(tmp_path / last.weights)
    assert read_recipe(metadata["recipe"]) == recipe
    build_anonymizer(recipe).load_state_dict(tensors)

    # In one go the same weights, scores and losses come out.
    once = done(job(recipe, tmp_path / "once"), avatars)
    assert once.curve == first.curve + last.curve
    assert untimed(once) == untimed(last)


def test_what_was_trained_can_be_what_training_starts_from(avatars: Clips, tiny_recipe: Build, tmp_path: Path) -> None:
    done(job(tiny_recipe(), tmp_path / "one"), avatars)
    file = tmp_path / "one" / "anonymizer.safetensors"
    started = build_anonymizer(
        Recipe(method="adversarial", anonymizer=tiny_recipe({"anonymizer.weights": str(file)}).anonymizer)
    )
    tensors, _ = read_tensors(file)
    assert all(torch.equal(tensors[name], value) for name, value in started.state_dict().items())


@pytest.mark.parametrize("method", ["identity", "black-out", "negative", "blur:2", "person-blur:2"])
def test_what_is_not_trained_is_only_measured(avatars: Clips, tiny_recipe: Build, tmp_path: Path, method: str) -> None:
    report = done(replace(job(tiny_recipe({"method": method}), tmp_path), ceilings=None), avatars)
    assert (report.curve, report.weights, report.step) == ((), "", 6)
    assert names(tmp_path) == ["preview.png", "preview.webm"]
    assert report.score.leakage.ceiling == report.score.leakage.value


def test_bdq_is_trained_like_any_other(avatars: Clips, tiny_params: dict[str, Any], tmp_path: Path) -> None:
    kept = {name: value for name, value in tiny_params.items() if not find("bdq").spec.owns(name)}
    recipe = make_recipe({"method": "bdq", **kept})
    first = done(job(recipe, tmp_path / "two", 0, 2, full=False), avatars)
    last = done(job(recipe, tmp_path / "two", 1, 6), avatars)
    assert [p.step for p in (*first.curve, *last.curve)] == [0, 1, 2, 3, 4, 5]
    tensors, _ = read_tensors(tmp_path / "two" / "anonymizer.safetensors")
    fresh = build_anonymizer(Recipe(method="bdq", anonymizer=recipe.anonymizer)).state_dict()
    assert tensors.keys() == fresh.keys() == {"log_sigma", "edges"}
    assert all(not torch.equal(tensors[name], fresh[name]) for name in fresh)
    assert untimed(done(job(recipe, tmp_path / "one"), avatars)) == untimed(last)


def test_weights_are_measured_as_they_are_and_nothing_is_left(
    avatars: Clips, tiny_recipe: Build, tmp_path: Path
) -> None:
    recipe = tiny_recipe({"evaluation.seed": 1})
    trained = done(job(recipe, tmp_path / "trials" / "0007"), avatars)
    file = tmp_path / trained.weights
    again = done(replace(job(recipe, tmp_path / "again"), weights=str(file)), avatars)
    assert untimed(again) == untimed(trained)
    assert (again.curve, again.weights) == ((), "") and not (tmp_path / "again").exists()
    other = done(replace(job(tiny_recipe({"evaluation.seed": 2}), tmp_path / "again"), weights=str(file)), avatars)
    assert other.score.distortion == trained.score.distortion  # the same anonymizer
    assert other.score.attackers != trained.score.attackers  # by other attackers
    file.unlink()
    with pytest.raises(AnonTuneError, match=r"anonymizer\.safetensors: is not a readable safetensors file"):
        done(replace(job(recipe, tmp_path / "again"), weights=str(file)), avatars)


def test_a_preview_shows_frames_above_their_anonymized_selves(
    avatars: Clips, tiny_recipe: Build, tmp_path: Path
) -> None:
    done(job(tiny_recipe({"method": "black-out"}), tmp_path), avatars)
    image = read_image(str(tmp_path / "preview.png"))
    num_frames, height, width, _ = avatars.shape
    assert image.shape == (3, 2 * height, 2 * num_frames * width)
    assert (image[:, height:] == 0).all()
    test = avatars.split("test")
    for at, (row, frame) in enumerate((r, f) for r in (0, len(test) // 2) for f in range(num_frames)):
        shown = image[:, :height, at * width : (at + 1) * width]
        assert torch.equal(shown, torch.from_numpy(test.frames[row, frame].copy()).permute(2, 0, 1))


def test_a_long_curve_is_thinned_and_keeps_its_ends(
    avatars: Clips, tiny_recipe: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anon_tune.worker.job._CURVE_POINTS", 20)
    recipe = tiny_recipe({"training.num_steps": 22, "training.batch_clips": 1, "training.warmup_steps": 0})
    curve = done(job(recipe, tmp_path, step=22, full=False), avatars).curve
    assert len(curve) == 20
    assert (curve[0].step, curve[-1].step) == (0, 21)
    assert all(a.step < b.step for a, b in pairwise(curve))
    assert all(isinstance(p, LossPoint) for p in curve)


def test_a_checkpoint_of_another_recipe_is_not_gone_on_from(avatars: Clips, tiny_recipe: Build, tmp_path: Path) -> None:
    done(job(tiny_recipe(), tmp_path, 0, 2, full=False), avatars)
    with pytest.raises(AnonTuneError, match=r"trainer\.safetensors: must be of recipe"):
        done(job(tiny_recipe({"training.seed": 1}), tmp_path), avatars)


def test_a_body_does_the_same_job_after_pickling(avatars: Clips, tiny_recipe: Build, tmp_path: Path) -> None:
    body = ClipTrialBody(str(avatars.directory))
    assert body.in_process
    assert not ClipTrialBody(str(avatars.directory), num_workers=2).in_process
    assert not ClipTrialBody(str(avatars.directory), gpus_per_worker=0.5).in_process
    one = body.advance(job(tiny_recipe(), tmp_path / "one"))
    two = pickle.loads(pickle.dumps(body)).advance(pickle.loads(pickle.dumps(job(tiny_recipe(), tmp_path / "two"))))
    assert untimed(one) == untimed(two)
    assert pickle.loads(pickle.dumps(one)) == one
    for name in ("one", "two"):
        with safe_open(tmp_path / name / "anonymizer.safetensors", framework="pt") as file:
            assert file.keys()


def test_clips_that_are_not_there_end_a_trial(tiny_recipe: Build, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a clip store must hold"):
        ClipTrialBody(str(tmp_path / "none")).advance(job(tiny_recipe(), tmp_path))
