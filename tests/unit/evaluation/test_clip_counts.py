from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from anon_tune.clips import Clips, ClipSet
from anon_tune.errors import DataError
from anon_tune.evaluation import count_data
from anon_tune.evaluation.resampling import MIN_GROUPS, draw_resamples


@pytest.fixture
def raw(avatars: Clips) -> dict[str, ClipSet]:
    return {name: avatars.split(name) for name in ("train", "val", "test")}


def test_counts(avatars: Clips, raw: dict[str, ClipSet]) -> None:
    data = count_data(raw, "avatars", avatars.fingerprint, avatars.attributes, avatars.actions)
    assert (data.num_train_clips, data.num_validation_clips, data.num_test_clips) == (32, 24, 24)
    assert (data.attributes, data.actions) == (avatars.attributes, avatars.actions)
    assert data.resampled == "video"  # six persons are too few
    raw["test"] = replace(raw["test"], groups=tuple(f"person {at % MIN_GROUPS}" for at in range(24)))
    assert count_data(raw, "a", "", avatars.attributes, avatars.actions).resampled == "group"


@pytest.mark.parametrize(("split", "least"), [("train", 2), ("val", 1), ("test", 2)])
@pytest.mark.parametrize("kind", ["positive", "negative"])
def test_too_few_of_a_kind_names_attribute_split_and_count(
    avatars: Clips, raw: dict[str, ClipSet], split: str, least: int, kind: str
) -> None:
    def counted(num: int) -> None:
        private = raw[split].private.copy()
        private[:, 1] = kind == "negative"
        private[:num, 1] = kind == "positive"
        changed = {**raw, split: replace(raw[split], private=private)}
        count_data(changed, "a", "", avatars.attributes, avatars.actions)

    counted(least)
    with pytest.raises(
        DataError, match=rf"'shirt=warm'.* {least} {kind} clips in the split '{split}', got {least - 1}"
    ):
        counted(least - 1)


def test_groups_are_drawn_whole() -> None:
    groups = [f"{at // 3}" for at in range(30)]
    drawn = draw_resamples(groups, 50, seed=1)
    assert drawn.unit == "group"
    by_group = drawn.counts.reshape(50, 10, 3)
    assert (by_group == by_group[:, :, :1]).all()
    assert (by_group[:, :, 0].sum(axis=1) == 10).all()
    assert len(np.unique(drawn.counts, axis=0)) == 50


def test_few_groups_leave_the_videos() -> None:
    drawn = draw_resamples(["a", "b"] * 20, 50, seed=1)
    assert drawn.unit == "video"
    assert (drawn.counts.sum(axis=1) == 40).all()
    assert (drawn.counts[:, ::2] != drawn.counts[:, :1]).any()
