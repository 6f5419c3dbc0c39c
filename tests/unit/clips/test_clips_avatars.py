from pathlib import Path

import numpy as np
import pytest

from anon_tune.clips import Clips, make_avatars
from anon_tune.clips.avatars import ACTIONS, ATTRIBUTES, _draw
from anon_tune.clips.labels import Labels
from anon_tune.errors import DataError

SMALL = {"num_train": 48, "num_val": 24, "num_test": 24}


@pytest.fixture(scope="module")
def avatars(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    return make_avatars(tmp_path_factory.mktemp("avatars") / "small", **SMALL)


def test_the_seed_decides_every_byte(avatars: Clips, tmp_path: Path) -> None:
    again = make_avatars(tmp_path / "again", **SMALL)
    assert again.fingerprint == avatars.fingerprint
    for name in ("manifest.parquet", "frames.npy", "persons.npy"):
        assert (again.directory / name).read_bytes() == (avatars.directory / name).read_bytes()
    assert make_avatars(tmp_path / "other", seed=1, **SMALL).fingerprint != avatars.fingerprint


def test_splits_share_neither_people_nor_clips(avatars: Clips) -> None:
    sets = [avatars.split(name) for name in ("train", "val", "test")]
    assert sum(len(set(s.groups)) for s in sets) == len({g for s in sets for g in s.groups}) == 24
    assert len({frames.tobytes() for s in sets for frames in s.frames}) == avatars.num_clips == 96


def test_labels_are_balanced_and_belong_to_the_person(avatars: Clips, tmp_path: Path) -> None:
    train = avatars.split("train")
    assert np.bincount(train.actions).tolist() == [8] * 6
    looks = {g: tuple(p) for g, p in zip(train.groups, train.private, strict=True)}
    assert all(looks[g] == tuple(p) for g, p in zip(train.groups, train.private, strict=True))
    whole = make_avatars(tmp_path / "whole", num_train=256, num_val=4, num_test=4, num_frames=2, height=16, width=16)
    assert whole.attributes == ATTRIBUTES
    private = whole.split("train").private
    assert (private.mean(axis=0) == 0.5).all()  # 64 people are every combination once
    assert np.allclose(np.corrcoef(private.T), np.eye(6), atol=1e-12)


@pytest.mark.parametrize("pair", ACTIONS)
def test_a_clip_backwards_is_the_paired_action(pair: tuple[str, str]) -> None:
    one, two = (
        _draw(0, 5, Labels("", "", "train", "train-person-0001", action, (True,) * 6), (8, 32, 32, 3))[0]
        for action in pair
    )
    assert np.array_equal(one, two[::-1])
    assert not np.array_equal(one, two)


def test_single_frames_have_the_same_poses_whatever_the_action() -> None:
    from anon_tune.clips.avatars import _pose

    # Every pose parameter, moved or at rest, over many clips: the same mean and spread within 5 standard errors.
    num = 3000
    values = np.empty((3, 3, num))
    for moving in range(3):
        for at in range(num):
            pose = _pose(np.random.default_rng([moving, at]), moving, 8)
            values[moving, :, at] = [path[at % 8] for path in (pose.arms, pose.crouch, pose.across)]
    error = values.std() / np.sqrt(num)
    assert np.ptp(values.mean(axis=2)) < 5 * error * np.sqrt(2)
    assert np.ptp(values.std(axis=2)) < 5 * error
    for bound in (0.1, 0.9):
        assert np.ptp((values < bound).mean(axis=2)) < 5 * np.sqrt(2 * 0.1 * 0.9 / num)


@pytest.mark.parametrize("moving", range(3))
def test_only_the_action_moves(moving: int) -> None:
    from anon_tune.clips.avatars import _pose

    for at in range(50):
        pose = _pose(np.random.default_rng(at), moving, 8)
        travel = [path[-1] - path[0] for path in (pose.arms, pose.crouch, pose.across)]
        assert travel[moving] > 0.6
        assert all(abs(travel[other]) < 0.1 for other in range(3) if other != moving)


@pytest.mark.parametrize("attribute", range(6))
def test_every_attribute_shows(attribute: int) -> None:
    without = [False] * 6
    with_it = [at == attribute for at in range(6)]
    one, two = (
        _draw(0, 3, Labels("", "", "test", "test-person-0002", "rise", tuple(private)), (4, 32, 32, 3))[0]
        for private in (without, with_it)
    )
    changed = (np.abs(one.astype(int) - two).max(axis=-1) > 40).mean(axis=(1, 2))
    assert (changed > 0.015).all()  # 16 of 1024 pixels
    assert (changed < 0.5).all()


def test_other_sizes(tmp_path: Path) -> None:
    clips = make_avatars(tmp_path / "wide", num_train=6, num_val=1, num_test=1, num_frames=3, height=24, width=40)
    assert clips.split("train").frames.shape == (6, 3, 24, 40, 3)


@pytest.mark.parametrize(("name", "value"), [("num_train", 0), ("num_frames", 1), ("height", 8)])
def test_too_small_numbers_are_refused(tmp_path: Path, name: str, value: int) -> None:
    with pytest.raises(DataError, match=f"'{name}' must be at least .*, got {value}"):
        make_avatars(tmp_path / "none", **{name: value})
    assert list(tmp_path.iterdir()) == []
