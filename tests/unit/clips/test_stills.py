from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from anon_tune.clips import Clips, StillSampler, check_stills
from anon_tune.clips.labels import Labels
from anon_tune.clips.store import StoreWriter
from anon_tune.errors import DataError


def write_store(path: Path, num_frames: int = 1, private: tuple[bool, ...] = (True, False), first: int = 0) -> Clips:
    """Write four training stills and a test still whose pixels and frames all differ."""
    shape = (num_frames, 5, 7, 3)
    with StoreWriter(path, shape) as writer:
        for at in range(5):
            frames = np.random.default_rng(first + at).integers(0, 256, shape, np.uint8)
            split, name = "test" if at == 4 else "train", f"still-{first + at}"
            labels = Labels(name, "", split, name, "still", (private[at % 2],) if private else ())
            writer.add(labels, frames)
        return writer.finish(("hair",) if private else (), 1.0, "stills")


def test_stills_are_those_of_the_store_with_their_labels(tmp_path: Path) -> None:
    train = write_store(tmp_path / "stills").split("train")
    batch = StillSampler(train, 4, 2, seed=5).batch(3)
    assert batch.clips.shape == (4, 2, 3, 5, 7)
    assert sorted(batch.ids) == sorted(train.ids)
    for at, name in enumerate(batch.ids):
        row = train.ids.index(name)
        assert batch.private[at].tolist() == train.private[row].tolist()
        assert all(torch.equal(still, train.clips([row])[0, 0]) for still in batch.clips[at])


def test_stills_of_a_clip_are_different_frames_of_it(tmp_path: Path) -> None:
    train = write_store(tmp_path / "stills", num_frames=3).split("train")
    sampler, seen = StillSampler(train, 4, 2, seed=5), set()
    for step in range(12):
        batch = sampler.batch(step)
        for at, name in enumerate(batch.ids):
            frames = train.clips([train.ids.index(name)])[0]
            found = [next(k for k in range(3) if torch.equal(frames[k], still)) for still in batch.clips[at]]
            assert found[0] != found[1]
            seen.add(tuple(found))
    assert len(seen) == 6


def test_two_views_of_one_frame_have_crops_and_mirrors_of_their_own(tmp_path: Path) -> None:
    train = write_store(tmp_path / "stills").split("train")
    batch = StillSampler(train, 4, 3, seed=5, crop=0.5, flip=True).batch(0)
    views = [batch.clips[:, view] for view in range(3)]
    assert not any(torch.equal(one[at], two[at]) for one in views for two in views if one is not two for at in range(4))


def test_a_batch_hangs_on_seed_and_step_alone_and_its_parts_are_the_whole(tmp_path: Path) -> None:
    train = write_store(tmp_path / "stills", num_frames=3).split("train")

    def sampler(seed: int) -> StillSampler:
        return StillSampler(train, 4, 2, seed, crop=0.5, flip=True)

    whole = sampler(1).batch(7)
    torch.rand(3)
    assert torch.equal(sampler(1).batch(7).clips, whole.clips)
    assert not torch.equal(sampler(2).batch(7).clips, whole.clips)
    parts = [sampler(1).batch(7, part, 2) for part in range(2)]
    assert torch.equal(torch.cat([part.clips for part in parts]), whole.clips)
    assert (*parts[0].ids, *parts[1].ids) == whole.ids
    with pytest.raises(DataError, match="must be a multiple of the 3 workers, got 4"):
        sampler(1).batch(0, 2, 3)


def test_what_nobody_may_learn_on_is_refused(tmp_path: Path) -> None:
    clips = write_store(tmp_path / "clips", first=100)
    check_stills(write_store(tmp_path / "good"), clips)
    check_stills(clips, clips)  # its own training split
    with pytest.raises(DataError, match=r"bare: the stills need a private attribute\. Import stills with private"):
        check_stills(write_store(tmp_path / "bare", private=()), clips)
    with pytest.raises(DataError, match=r"same: no private attribute of the training stills has two values\."):
        check_stills(write_store(tmp_path / "same", private=(True, True)), clips)
    rule = r"a training still must not be a validation or test clip of .*clips, got 'still-104'\. Import"
    with pytest.raises(DataError, match=rule):  # the clips' test still by name and content
        check_stills(write_store(tmp_path / "both", first=101), clips)
