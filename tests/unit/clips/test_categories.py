"""Attributes that are the values of one category."""

from __future__ import annotations

import pytest

from anon_tune.clips import Clips
from anon_tune.clips.manifest import ClipEntry, Manifest


def manifest(attributes: tuple[str, ...], *private: tuple[int, ...]) -> Manifest:
    entries = tuple(
        ClipEntry(str(at), "", "train", "g", "walk", tuple(map(bool, row)), "") for at, row in enumerate(private)
    )
    return Manifest(entries, attributes, (1, 2, 2, 3), 1.0, "a test")


def test_one_value_a_clip_makes_a_category() -> None:
    names = ("person=a", "hat", "person=b", "age=old", "person=c")
    made = manifest(names, (1, 1, 0, 0, 0), (0, 1, 1, 1, 0), (0, 0, 0, 1, 1))
    assert made.categories() == ((0, 2, 4),)


@pytest.mark.parametrize("row", [(0, 0), (1, 1)])
def test_a_clip_with_no_value_or_with_two_makes_none(row: tuple[int, int]) -> None:
    assert manifest(("person=a", "person=b"), (1, 0), row).categories() == ()


def test_avatars_have_independent_attributes(avatars: Clips) -> None:
    assert avatars.split("train").categories == ()
