"""What the sets of generated clips share: how people are dealt to clips, and how drawn clips are painted and stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anon_tune.clips.figure import Array, Person, Pose, draw_person
from anon_tune.clips.frame_truth import FrameTruth
from anon_tune.clips.keypoints import Points
from anon_tune.clips.labels import Labels
from anon_tune.clips.looks import ATTRIBUTES, draw_looks
from anon_tune.clips.manifest import SPLITS
from anon_tune.clips.persons import write_masks
from anon_tune.clips.store import Clips, StoreWriter
from anon_tune.errors import DataError

FPS = 8.0

Drawn = tuple[NDArray[np.uint8], Points, NDArray[np.bool_]]
"""A drawn clip: frames (T, H, W, 3), key points of its person (T, 1, 17, 3), and the pixels of the person (T, H, W)."""


def check_sizes(name: str, sizes: Mapping[str, tuple[int, int]]) -> None:
    """Check arguments of a set, each given with the least that it may be.

    Raises:
        DataError: One is smaller.
    """
    for argument, (value, least) in sizes.items():
        if value < least:
            raise DataError(name, f"'{argument}' must be at least {least}", value, "Choose a larger number")


def store_drawn(
    directory: Path | str,
    shape: tuple[int, int, int, int],
    force: bool,
    drawn: Iterable[tuple[Labels, Drawn]],
    source: str,
) -> Clips:
    """Store drawn clips of a shape (T, H, W, 3) with their key points and person masks, and open the store."""
    joints: dict[str, Points] = {}
    masks: list[NDArray[np.bool_]] = []
    with StoreWriter(directory, shape, force) as writer:
        for labels, (frames, points, mask) in drawn:
            writer.add(labels, frames)
            joints[labels.id] = points
            masks.append(mask)
        write_masks(writer.hidden, (len(masks), *shape[:3]), masks)
        return writer.finish(ATTRIBUTES, FPS, source, keypoints=joints)


def labels_of(
    split: str, number: int, person: int, looks: NDArray[np.int64], action: str, truth: FrameTruth | None = None
) -> Labels:
    """Return the labels of a clip of a split. `looks` are those of its people, a bit for each private attribute."""
    return Labels(
        id=f"{split}-{number:05d}",
        file="",
        split=split,
        group=f"{split}-person-{person:04d}",
        action=action,
        private=tuple(bool(looks[person] >> bit & 1) for bit in range(len(ATTRIBUTES))),
        truth=truth,
    )


def person_of(labels: Labels, seed: int, stream: int, clothes: np.random.Generator) -> Person:
    """Draw the person of a clip. The body is the same in all clips of the person; `clothes` are drawn for this one."""
    split, _, person = labels.group.split("-")
    return draw_looks(drawn_by(seed, stream, SPLITS.index(split), int(person)), clothes, labels.private)


def deck(rng: np.random.Generator, num_cards: int, count: int) -> NDArray[np.int64]:
    """Deal a number of cards from shuffled decks, so that each card is dealt about equally often."""
    return np.concatenate([rng.permutation(num_cards) for _ in range(-(-count // num_cards))])[:count]


def painted(rng: np.random.Generator, person: Person, pose: Pose, background: Array) -> Drawn:
    """Paint a person before a background (H, W, 3), with the light and the noise of a camera."""
    shape = (len(pose.arms), *background.shape)
    canvas = np.empty(shape, np.float32)
    canvas[:] = background
    joints = draw_person(canvas, person, pose)[:, None]
    mask: NDArray[np.bool_] = (canvas != background).any(axis=-1)
    canvas *= np.float32(rng.uniform(0.85, 1.1))
    canvas += rng.standard_normal(shape, np.float32) * np.float32(0.02)
    return np.round(np.clip(canvas, 0, 1) * 255).astype(np.uint8), joints, mask


def drawn_by(*key: int) -> np.random.Generator:
    """Return the random numbers of a key, whose first part is a seed."""
    return np.random.Generator(np.random.PCG64(key))
