"""The attacker that learns edges and colours at the places of the body, without a network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from anon_tune.attackers import Attacker, Setting, find
from anon_tune.attackers.descriptors.features import Features, _evened, _parts
from anon_tune.attackers.descriptors.follow import Follower, Whitening
from anon_tune.attackers.descriptors.ridge import folds_of
from anon_tune.clips import Clips, ClipSet, make_avatars
from anon_tune.evaluation import Effort, Lab, class_mean_ap
from anon_tune.recipe import EvaluationRecipe


def fitted(train: ClipSet, val: ClipSet, seed: int = 0) -> Attacker:
    _, num_frames, height, width, _ = train.frames.shape
    attacker = find("descriptors").build(Setting(train.private.shape[1], 16, (num_frames, height, width)))
    assert isinstance(attacker, Attacker)
    attacker.fit(train, val, seed)
    return attacker


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    folder = tmp_path_factory.mktemp("clips") / "avatars"
    return make_avatars(folder, 3, num_train=96, num_val=48, num_test=96, num_frames=4, height=32, width=32)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ClipSet]:
    """Splits that are fitted in a third of the time, for what holds for any clips."""
    folder = tmp_path_factory.mktemp("clips") / "few"
    made = make_avatars(folder, 3, num_train=40, num_val=24, num_test=24, num_frames=2, height=24, width=24)
    return {name: made.split(name) for name in ("train", "val", "test")}


@pytest.fixture(scope="module")
def attacker(clips: Clips) -> Attacker:
    return fitted(clips.split("train"), clips.split("val"))


def test_it_reads_colours_and_shapes_from_few_clips(clips: Clips, attacker: Attacker) -> None:
    test = clips.split("test")
    found = attacker.predict(test)
    assert found.shape == test.private.shape and np.isfinite(found).all()
    assert class_mean_ap(found, test.private) > 0.85


def test_it_is_a_function_of_clips_and_seed(few: dict[str, ClipSet]) -> None:
    one, two, other = (fitted(few["train"], few["val"], seed).predict(few["test"]) for seed in (0, 0, 1))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_a_negative_shows_as_much_as_the_clips(few: dict[str, ClipSet]) -> None:
    dark = few["train"].frames // 3
    # Where clips are bright, their negative is looked at, so that dark shades are told apart as well as before.
    assert Features(255 - dark, np.random.default_rng(0))._is_bright
    assert not Features(dark, np.random.default_rng(0))._is_bright
    frames = torch.rand(2, 3, 3, 8, 8)
    assert torch.allclose(_evened(frames, False), _evened(1 - frames, True), atol=1e-3)


def test_validation_scores_come_from_regressions_that_did_not_see_them(clips: Clips) -> None:
    train, val = clips.split("train"), clips.split("val")
    rng = np.random.default_rng(5)
    drawn = [replace(one, private=(rng.random(one.private.shape) < 0.5).astype(np.uint8)) for one in (train, val)]
    attacker = find("descriptors").build(Setting(train.private.shape[1], 16, (4, 32, 32)))
    assert isinstance(attacker, Attacker)
    known = attacker.fit(*drawn, seed=0).validation
    assert known is not None
    chance = drawn[1].private.mean()
    assert class_mean_ap(known, drawn[1].private) < chance + 0.15  # labels that are drawn cannot be foretold
    assert class_mean_ap(attacker.predict(drawn[1]), drawn[1].private) > 0.95  # but they were learned


def test_the_lab_takes_the_validation_scores_that_a_fit_gives(few: dict[str, ClipSet]) -> None:
    splits = {name: few[name] for name in ("train", "val")}
    lab = Lab(splits, Effort.of_study(EvaluationRecipe(), full=True), torch.device("cpu"))
    attack = lab.attack(find("descriptors"), "fresh", 0)
    assert attack.fit.validation is not None
    assert np.array_equal(attack.scores["val"], attack.fit.validation)
    assert attack.values["val"] == class_mean_ap(attack.fit.validation, splits["val"].private)


def test_features_of_mirror_images_are_those_of_mirrored_views(clips: Clips) -> None:
    frames = clips.split("train").frames
    features = Features(frames, np.random.default_rng(0))
    views = features._views(next(_parts(frames)))
    turned = type(views)(*(getattr(views, name).flip(-1) for name in type(views).__slots__))
    for kind in features._kinds:
        _, mirrored = kind.both(views)
        off = (mirrored - kind.cells(turned).flatten(1)).abs()
        assert off.mean() < 1e-4 * mirrored.abs().mean() + 1e-4  # a few pixels have edges in two directions alike


def test_the_person_is_followed() -> None:
    rng = np.random.default_rng(0)
    at = rng.integers(6, 27, (40, 1)) + np.array([0, 1, 1, 2, 3, 3, 4, 4])
    frames = torch.full((40, 8, 3, 24, 36), 0.5) + 0.02 * torch.randn(40, 8, 3, 24, 36, generator=torch.manual_seed(0))
    for clip, path in enumerate(at):
        for time, column in enumerate(path):
            frames[clip, time, :, 4:22, column : column + 4] = 1.0
    right, _ = Follower(frames).places(frames)
    off = right.numpy() - (at + 2 - 18)
    assert np.abs(off - np.median(off)).mean() < 1.0


def test_whitening_undoes_a_blur(clips: Clips) -> None:
    sharp = torch.from_numpy(np.array(clips.split("train").frames)).permute(0, 1, 4, 2, 3) / 255
    blurred = torch.nn.functional.avg_pool2d(sharp.flatten(0, 1), 3, 1, 1).unflatten(0, sharp.shape[:2])
    blurred = (blurred * 255).round() / 255
    sides = [one.diff(dim=-1).abs().mean() for one in (sharp, blurred, Whitening(blurred)(blurred))]
    assert sides[1] < 0.7 * sides[0] and sides[2] > 0.9 * sides[0]


def test_of_clips_that_show_nothing_it_tells_nothing(few: dict[str, ClipSet]) -> None:
    blank = {name: replace(split, frames=np.zeros_like(split.frames)) for name, split in few.items()}
    found = fitted(blank["train"], blank["val"]).predict(blank["test"])
    assert (found == found[0]).all()


def test_a_person_is_found_wherever_it_stands(clips: Clips, attacker: Attacker) -> None:
    test = clips.split("test")
    aside = replace(test, frames=np.roll(test.frames, 3, axis=3))
    near = class_mean_ap(attacker.predict(aside), test.private)
    assert near > 0.9 * class_mean_ap(attacker.predict(test), test.private)


@pytest.mark.parametrize(("num_frames", "height", "width"), [(1, 16, 16), (2, 17, 40), (9, 72, 50)])
def test_clips_of_any_size_are_taken(few: dict[str, ClipSet], num_frames: int, height: int, width: int) -> None:
    val = few["val"]
    frames = np.random.default_rng(0).integers(0, 256, (len(val), num_frames, height, width, 3), dtype=np.uint8)
    noise = replace(val, frames=frames)
    assert np.isfinite(fitted(noise, noise).predict(noise)).all()


def test_it_is_left_out_where_clips_are_many(clips: Clips) -> None:
    effort = Effort.of_study(EvaluationRecipe(), full=True)
    few = {name: clips.split(name) for name in ("train", "val")}
    train = few["train"]
    many = replace(train, frames=np.tile(train.frames, (4, 1, 1, 1, 1)), private=np.tile(train.private, (4, 1)))
    names = [
        [spec.name for spec in Lab(few | {"train": split}, effort, torch.device("cpu")).attackers]
        for split in (train, many)
    ]
    assert names == [["frame", "clip", "motion", "pixels", "descriptors"], ["frame", "clip", "motion", "pixels"]]


def test_windows_of_a_clip_are_never_in_two_folds() -> None:
    rng = np.random.default_rng(0)
    clips = np.arange(60) // 5
    labels = (clips[:, None] % 3 == np.arange(3)).astype(np.float64)
    folds = folds_of(["one group"] * 60, clips, labels, 5, rng)
    of_clip = {clip: set(folds[clips == clip].tolist()) for clip in range(12)}
    assert all(len(found) == 1 for found in of_clip.values())
    assert {fold for found in of_clip.values() for fold in found} == set(range(5))
    for label in range(3):  # each label is spread over the folds
        assert len({fold for clip in range(label, 12, 3) for fold in of_clip[clip]}) == 4
