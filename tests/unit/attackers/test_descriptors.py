"""The attacker that learns edges and colours at the places of the body, without a network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from anon_tune.attackers import Attacker, Setting, find
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


def test_it_reads_colours_and_shapes_from_few_clips(clips: Clips) -> None:
    test = clips.split("test")
    found = fitted(clips.split("train"), clips.split("val")).predict(test)
    assert found.shape == test.private.shape and np.isfinite(found).all()
    assert class_mean_ap(found, test.private) > 0.85


def test_it_is_a_function_of_clips_and_seed(clips: Clips) -> None:
    train, val, test = (clips.split(name) for name in ("train", "val", "test"))
    one, two, other = (fitted(train, val, seed).predict(test) for seed in (0, 0, 1))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_of_clips_that_show_nothing_it_tells_nothing(clips: Clips) -> None:
    blank = {
        name: replace(split, frames=np.zeros_like(split.frames))
        for name, split in ((name, clips.split(name)) for name in ("train", "val", "test"))
    }
    found = fitted(blank["train"], blank["val"]).predict(blank["test"])
    assert (found == found[0]).all()


def test_a_person_is_found_wherever_it_stands(clips: Clips) -> None:
    test = clips.split("test")
    attacker = fitted(clips.split("train"), clips.split("val"))
    aside = replace(test, frames=np.roll(test.frames, 3, axis=3))
    near = class_mean_ap(attacker.predict(aside), test.private)
    assert near > 0.9 * class_mean_ap(attacker.predict(test), test.private)


@pytest.mark.parametrize(("num_frames", "height", "width"), [(1, 16, 16), (2, 17, 40), (12, 120, 100)])
def test_clips_of_any_size_are_taken(clips: Clips, num_frames: int, height: int, width: int) -> None:
    val = clips.split("val")
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
