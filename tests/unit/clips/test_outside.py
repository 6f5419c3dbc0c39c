"""Attackers that learn outside the training split see none of its clips, and the test split as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from anon_tune.clips import Clips
from anon_tune.clips.labels import Labels
from anon_tune.clips.outside import outside_training
from anon_tune.clips.store import StoreWriter
from anon_tune.errors import DataError


def test_attackers_learn_on_two_thirds_of_the_validation_groups(avatars: Clips) -> None:
    seen = outside_training(avatars)
    val, test = avatars.split("val"), avatars.split("test")
    learned, chosen = seen.split("train"), seen.split("val")
    protected = set(avatars.split("train").ids)
    assert not protected & {*learned.ids, *chosen.ids, *seen.split("test").ids}
    assert {*learned.ids, *chosen.ids} == set(val.ids)
    assert not set(learned.groups) & set(chosen.groups)
    assert len(set(learned.groups)) == 4 and len(set(chosen.groups)) == 2
    assert seen.split("test").ids == test.ids


def test_frames_and_labels_stay_those_of_their_clips(avatars: Clips) -> None:
    seen = outside_training(avatars)
    for name in ("train", "val", "test"):
        moved = seen.split(name)
        for row, clip in enumerate(moved.ids):
            split = avatars.split(clip.split("-")[0])
            at = split.ids.index(clip)
            assert np.array_equal(moved.frames[row], split.frames[at])
            assert moved.actions[row] == split.actions[at]
            assert np.array_equal(moved.private[row], split.private[at])
    assert seen.split("test").persons is None  # masks are for training only


def test_frames_that_change_places_are_mapped_and_not_held_in_memory(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "store", (1, 2, 2, 3)) as writer:
        for at, (split, group) in enumerate([("train", "t"), *(("val", name) for name in "cab"), ("test", "d")]):
            labels = Labels(f"{split}-{at}", "", split, group, f"a{at % 2}", (at % 2 == 0,))
            writer.add(labels, np.full((1, 2, 2, 3), at, np.uint8))
        seen = outside_training(writer.finish(["p"], 1.0, "test"))
    assert isinstance(seen._frames, np.memmap)
    assert seen._frames[:, 0, 0, 0, 0].tolist() == [2, 3, 1, 4]
    assert seen.split("train").groups == ("a", "b")


def test_too_few_groups_are_refused(coded_clips: Clips) -> None:
    with pytest.raises(DataError, match=r"needs? a validation split of at least 3 groups, got 2"):
        outside_training(coded_clips)
