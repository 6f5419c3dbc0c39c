"""Clips without what a method needs are refused before any work, and the error names what is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from anon_tune.clips import Clips, make_avatars
from anon_tune.clips.labels import Labels
from anon_tune.clips.store import StoreWriter
from anon_tune.errors import RecipeError
from anon_tune.methods import make_recipe, specs
from anon_tune.methods.clip_needs import check_clip_needs


def store(place: Path, num_frames: int) -> Clips:
    """Return clips of noise in which nothing moves."""
    rng = np.random.default_rng(0)
    with StoreWriter(place, (num_frames, 24, 24, 3)) as writer:
        for split in ("train", "val", "test"):
            for at in range(4):
                labels = Labels(f"{split}{at}", f"{split}{at}.mp4", split, f"{split}{at}", "ab"[at % 2], (at < 2,))
                frame = rng.integers(0, 255, (1, 24, 24, 3), dtype=np.uint8)
                writer.add(labels, np.repeat(frame, num_frames, axis=0))
        return writer.finish(["p"], 8.0, "test")


@pytest.fixture(scope="module")
def stills(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    return store(tmp_path_factory.mktemp("stills") / "store", 1)


@pytest.fixture(scope="module")
def empty_rooms(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    return store(tmp_path_factory.mktemp("rooms") / "store", 4)


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("warp-noise", r"compares the frames of a clip, and needs at least 2, got 1\. Write detector=hog"),
        ("avatar", "compares the frames of a clip"),
        ("person-blur:4", "compares the frames of a clip"),
        ("frame-difference:3", r"got 1\. Choose another method"),
        ("bdq", "compares the frames of a clip"),
        ("area-blur:1,detector=hog", r"'hog' of the method 'area-blur' finds no person .*\. Choose another method"),
    ],
)
def test_stills_are_too_short(stills: Clips, method: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        check_clip_needs(make_recipe({"method": method}), stills, "x.toml")


def test_a_method_that_is_not_to_be_trained_needs_no_clips_to_train_on(stills: Clips) -> None:
    check_clip_needs(make_recipe({"method": "ted-spad"}), stills, "--file")


@pytest.mark.parametrize("method", ["warp-noise", "avatar", "person-black-out", "area-pixelate"])
def test_methods_for_persons_need_somebody(empty_rooms: Clips, method: str) -> None:
    with pytest.raises(RecipeError, match=r"'background' of the method .* finds no person in 4 .* Write detector=hog"):
        check_clip_needs(make_recipe({"method": method}), empty_rooms, "x.toml")


def test_a_method_may_insist_on_key_points(empty_rooms: Clips, tmp_path: Path) -> None:
    recipe = make_recipe({"method": "avatar:pose=keypoints"})
    with pytest.raises(RecipeError, match=r"needs key points, and there are none\. Import the clips with --keypoints"):
        check_clip_needs(recipe, empty_rooms, "x.toml")
    check_clip_needs(recipe, make_avatars(tmp_path / "avatars", num_train=4, num_val=4, num_test=4), "x.toml")


def test_the_built_in_clips_have_what_our_methods_need(tmp_path: Path) -> None:
    clips = make_avatars(tmp_path / "avatars", num_train=8, num_val=4, num_test=4)
    for spec in specs():
        if spec.name != "external":
            check_clip_needs(make_recipe({"method": spec.example}), clips, "x.toml")
