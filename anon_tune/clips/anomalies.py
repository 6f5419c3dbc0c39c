"""The built-in generated clips for the detection of anomalies: avatars of which some do something abnormal for a while.

A person does one action again and again: raises or lowers the arms, or crouches or rises. That is normal. In an
abnormal clip, the person steps across the picture once or twice instead. The frames in which that happens are known
exactly. A frame taken from a clip at random does not tell whether it is abnormal, as a person may stand anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from anon_tune.clips.avatars import ACTIONS
from anon_tune.clips.figure import Pose
from anon_tune.clips.frame_truth import NORMAL, FrameTruth
from anon_tune.clips.generated import Drawn, check_sizes, deck, drawn_by, labels_of, painted, person_of, store_drawn
from anon_tune.clips.labels import Labels
from anon_tune.clips.looks import ATTRIBUTES, draw_background
from anon_tune.clips.store import Clips

ABNORMAL = "abnormal"
PERIOD = 8
"""Frames in which an action is done once."""

_CLIPS_PER_PERSON = 2  # one normal, one abnormal
_ACROSS = len(ACTIONS) - 1
# Numbers of the separate random streams under one seed; avatars have the first three.
_CAST, _PERSON, _CLIP = 3, 4, 5


def make_anomalies(
    directory: Path | str,
    seed: int = 0,
    num_train: int = 200,
    num_val: int = 60,
    num_test: int = 100,
    num_frames: int = 32,
    height: int = 32,
    width: int = 32,
    force: bool = False,
) -> Clips:
    """Draw normal and abnormal clips, and store them with their frame truth. The same arguments give the same bytes.

    A person has two clips, a normal and an abnormal one, in one split. Attributes are balanced in every split.

    Args:
        directory: The clip store to create.
        seed: Seed of people, poses and backgrounds.
        num_train: Clips in the training split, at least 2.
        num_val: Clips in the validation split, at least 2.
        num_test: Clips in the test split, at least 2.
        num_frames: Frames per clip, at least 16.
        height: Height of a frame in pixels, at least 16.
        width: Width of a frame in pixels, at least 16.
        force: Replace a clip store that exists.

    Returns:
        The new store, open for reading.

    Raises:
        DataError: A number is too small, or the directory exists.
    """
    sizes = {"num_train": (num_train, 2), "num_val": (num_val, 2), "num_test": (num_test, 2)}
    sizes |= {"num_frames": (num_frames, 2 * PERIOD), "height": (height, 16), "width": (width, 16)}
    check_sizes("avatars-anomaly", sizes)
    shape = (num_frames, height, width, 3)
    counts = {"train": num_train, "val": num_val, "test": num_test}
    drawn = ((labels, _draw(seed, at, labels, shape)) for at, labels in enumerate(_cast(seed, counts, num_frames)))
    return store_drawn(directory, shape, force, drawn, f"avatars with anomalies, seed {seed}")


def _cast(seed: int, counts: dict[str, int], num_frames: int) -> Iterator[Labels]:
    """Yield the labels of every clip, with the frames in which it is abnormal."""
    rng = drawn_by(seed, _CAST)
    for split, count in counts.items():
        looks = deck(rng, 2 ** len(ATTRIBUTES), -(-count // _CLIPS_PER_PERSON))
        for at in range(count):
            person, is_abnormal = divmod(at, _CLIPS_PER_PERSON)
            truth = FrameTruth(_spans(rng, num_frames) if is_abnormal else (), num_frames)
            yield labels_of(split, at, person, looks, ABNORMAL if is_abnormal else NORMAL, truth)


def _spans(rng: np.random.Generator, num_frames: int) -> tuple[tuple[int, int], ...]:
    """Draw one or two parts of a clip in which the person steps across; they share no frame."""
    starts = [int(rng.integers(num_frames - PERIOD + 1))]
    free = [at for at in range(num_frames - PERIOD + 1) if abs(at - starts[0]) > PERIOD]
    if free and rng.random() < 0.5:
        starts.append(int(rng.choice(free)))
    return tuple((at, at + PERIOD) for at in sorted(starts))


def _draw(seed: int, number: int, labels: Labels, shape: tuple[int, int, int, int]) -> Drawn:
    """Draw one clip."""
    rng = drawn_by(seed, _CLIP, number)
    person = person_of(labels, seed, _PERSON, rng)
    spans = labels.truth.spans if labels.truth else ()
    background = draw_background(rng, *shape[1:3])
    return painted(rng, person, _pose(rng, spans, shape[0]), background)


def _pose(rng: np.random.Generator, spans: tuple[tuple[int, int], ...], num_frames: int) -> Pose:
    """Draw a pose for every frame: the normal action again and again, and in `spans` a step across in its place."""
    num = len(ACTIONS)
    usual, backwards = int(rng.integers(_ACROSS)), rng.random(2) < 0.5
    sweep = np.linspace(0.06, 0.94, PERIOD)
    paths = np.repeat(rng.uniform(0.06, 0.94, (num, 1)), num_frames, axis=1)
    phase = int(rng.integers(PERIOD))
    again = sweep[(np.arange(num_frames) + phase) % PERIOD]
    paths[usual] = 1 - again if backwards[0] else again
    for first, end in spans:
        paths[usual, first:end] = paths[usual, first]
        paths[_ACROSS, first:end] = sweep[::-1] if backwards[1] else sweep
    paths = np.clip(paths + rng.normal(0, 0.012, paths.shape), 0, 1).astype(np.float32)
    arms, crouch, across = paths
    return Pose(arms, crouch, across, bend=np.full(num_frames, rng.uniform(), np.float32))
