"""Clips of persons outside the training split, on which attackers learn where the training split is protected."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from anon_tune.clips.frames import frames_on_disk
from anon_tune.clips.store import Clips
from anon_tune.errors import DataError

_SHARE = 2 / 3  # of the groups of the validation split, on which attackers learn


def measured_clips(clips: Clips, learn_on: Literal["train", "outside"]) -> Clips:
    """Return the clips that a recipe measures with: all, or those of `outside_training`."""
    return outside_training(clips) if learn_on == "outside" else clips


@lru_cache(maxsize=2)  # what is trained on raw clips is kept for the same object
def outside_training(clips: Clips) -> Clips:
    """Return clips without the training split: attackers learn on two thirds of the groups of the validation split.

    The other third is the validation split, and the test split stays as it is. So what is measured says nothing about
    the clips of the training split, but what the anonymizer itself says.

    Raises:
        DataError: The validation split has a single group.
    """
    entries = clips.manifest.entries
    groups = sorted({entry.group for entry in entries if entry.split == "val"})
    num_learned = math.ceil(_SHARE * len(groups))
    if num_learned == len(groups):
        rule = "attackers that learn outside the training split need a validation split of at least 3 groups"
        raise DataError(str(clips.directory), rule, len(groups), "Import more groups with --val-groups")
    learned = set(groups[:num_learned])
    rows: dict[str, list[int]] = {"train": [], "val": [], "test": []}
    for row, entry in enumerate(entries):
        if entry.split != "train":
            rows["train" if entry.split == "val" and entry.group in learned else entry.split].append(row)
    order = [row for name in rows for row in rows[name]]
    start = min(order)
    whole = order == list(range(start, start + len(order)))
    frames = clips._frames[start : start + len(order)] if whole else _copied(clips._frames, order)
    moved = tuple(replace(entries[row], split=name) for name in rows for row in rows[name])
    points = clips._keypoints
    kept = None if points is None else np.asarray(points[order])
    manifest = replace(clips.manifest, entries=moved)
    return replace(clips, manifest=manifest, _frames=frames, _keypoints=kept, _persons=None)


def _copied(frames: NDArray[np.uint8], order: Sequence[int]) -> NDArray[np.uint8]:
    """Return rows in another order, in a file: two splits may be larger than the memory of a process."""
    copied = frames_on_disk((len(order), *frames.shape[1:]))
    for at, row in enumerate(order):
        copied[at] = frames[row]
    return copied
