"""The built-in generated clips, called avatars: people differ in their looks, actions differ in motion only.

A person has three pose parameters: arms, crouch and place. An action moves one of them through its range, forwards or
backwards, and holds the other two at values drawn from the same sweep. A frame taken from a clip at random therefore
says nothing about the action, and a clip played backwards is a clip of the paired action.

The private attributes of a person are drawn independently. Four are visible in colour and texture (skin, shirt,
stripes, hair) and two in the silhouette (build, hat). An anonymizer that keeps the motion of the silhouette visible
therefore has to reveal something.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from anon_tune.clips.figure import Pose
from anon_tune.clips.generated import Drawn, check_sizes, deck, drawn_by, labels_of, painted, person_of, store_drawn
from anon_tune.clips.labels import Labels
from anon_tune.clips.looks import ATTRIBUTES, draw_background
from anon_tune.clips.store import Clips

# A pair of actions for each of arms, crouch and place: forwards and backwards through its range.
ACTIONS = (("raise-arms", "lower-arms"), ("crouch", "rise"), ("step-right", "step-left"))

_CLIPS_PER_PERSON = 4
# Numbers of the separate random streams under one seed.
_CAST, _PERSON, _CLIP = 0, 1, 2


def make_avatars(
    directory: Path | str,
    seed: int = 0,
    num_train: int = 480,
    num_val: int = 160,
    num_test: int = 240,
    num_frames: int = 8,
    height: int = 32,
    width: int = 32,
    force: bool = False,
) -> Clips:
    """Draw a set of clips and store it. The same arguments give the same bytes.

    A person has four clips, all in one split. Actions and attributes are balanced in every split.

    Args:
        directory: The clip store to create.
        seed: Seed of people, poses and backgrounds.
        num_train: Clips in the training split, at least 1.
        num_val: Clips in the validation split, at least 1.
        num_test: Clips in the test split, at least 1.
        num_frames: Frames per clip, at least 2.
        height: Height of a frame in pixels, at least 16.
        width: Width of a frame in pixels, at least 16.
        force: Replace a clip store that exists.

    Returns:
        The new store, open for reading.

    Raises:
        DataError: A number is too small, or the directory exists.
    """
    sizes = {"num_train": (num_train, 1), "num_val": (num_val, 1), "num_test": (num_test, 1)}
    sizes |= {"num_frames": (num_frames, 2), "height": (height, 16), "width": (width, 16)}
    check_sizes("avatars", sizes)
    shape = (num_frames, height, width, 3)
    counts = {"train": num_train, "val": num_val, "test": num_test}
    drawn = ((labels, _draw(seed, at, labels, shape)) for at, labels in enumerate(_cast(seed, counts)))
    return store_drawn(directory, shape, force, drawn, f"avatars, seed {seed}")


def _cast(seed: int, counts: dict[str, int]) -> Iterator[Labels]:
    """Yield the labels of every clip. Looks and actions are dealt from shuffled decks, so that both are balanced."""
    rng = drawn_by(seed, _CAST)
    names = [name for pair in ACTIONS for name in pair]
    for split, count in counts.items():
        num_people = -(-count // _CLIPS_PER_PERSON)
        looks = deck(rng, 2 ** len(ATTRIBUTES), num_people)
        actions = deck(rng, len(names), count)
        for at in range(count):
            yield labels_of(split, at, at // _CLIPS_PER_PERSON, looks, names[actions[at]])


def _draw(seed: int, number: int, labels: Labels, shape: tuple[int, int, int, int]) -> Drawn:
    """Draw one clip."""
    rng = drawn_by(seed, _CLIP, number)
    person = person_of(labels, seed, _PERSON, rng)
    moving = next(at for at, pair in enumerate(ACTIONS) if labels.action in pair)
    pose = _pose(rng, moving, shape[0])
    frames, joints, mask = painted(rng, person, pose, draw_background(rng, *shape[1:3]))
    order = slice(None, None, -1 if labels.action == ACTIONS[moving][1] else 1)
    return frames[order], joints[order], mask[order]


def _pose(rng: np.random.Generator, moving: int, num_frames: int) -> Pose:
    """Draw a pose for every frame: one parameter sweeps upwards, the others rest at some point of their sweep."""
    num = len(ACTIONS)
    low, high = rng.uniform(0.0, 0.12, (num, 1)), rng.uniform(0.88, 1.0, (num, 1))
    paths = low + (high - low) * np.linspace(0, 1, num_frames)
    rest = np.take_along_axis(paths, rng.integers(0, num_frames, (num, 1)), axis=1)
    paths = np.where(np.arange(num)[:, None] == moving, paths, rest)
    paths = np.clip(paths + rng.normal(0, 0.012, paths.shape), 0, 1).astype(np.float32)
    arms, crouch, across = paths
    return Pose(arms, crouch, across, bend=np.full(num_frames, rng.uniform(), np.float32))
