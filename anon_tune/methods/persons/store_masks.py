"""Finds persons in a clip store, and adds masks of them to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anon_tune.errors import DataError


@dataclass(frozen=True, slots=True)
class FoundPersons:
    """How much was found.

    Attributes:
        frames: Share of the frames that show a person, in [0, 1].
        pixels: Share of all pixels that belong to a person, in [0, 1].
    """

    frames: float
    pixels: float


def find_persons(store: Path | str, detector: str, force: bool = False) -> FoundPersons:
    """Find persons in every clip of a store, and write their masks into it.

    Args:
        store: The directory of a clip store.
        detector: ``background`` or ``hog``, see `anon_tune.methods.persons.network`.
        force: Replace masks that the store has.

    Raises:
        DataError: There is no store, or it has masks and `force` is False.
    """
    from anon_tune.clips.augment import to_unit
    from anon_tune.clips.frames import map_frames
    from anon_tune.clips.manifest import FRAMES, MANIFEST, read_manifest
    from anon_tune.clips.persons import PERSONS, write_masks
    from anon_tune.methods.persons.network import DETECTORS

    directory = Path(store)
    if not (directory / MANIFEST).is_file():
        rule = f"a clip store must hold '{MANIFEST}'"
        raise DataError(str(store), rule, remedy="Give the directory of a clip store, or import one")
    if (directory / PERSONS).exists() and not force:
        raise DataError(str(store), "already has person masks", remedy="Add --force to replace them")
    clips = map_frames(directory / FRAMES, read_manifest(directory / MANIFEST))
    find, num = DETECTORS[detector], len(clips)
    frames, pixels = np.zeros(num), np.zeros(num)

    def masks() -> Iterator[NDArray[np.bool_]]:
        for row in range(num):
            mask: NDArray[np.bool_] = find(to_unit(np.array(clips[row : row + 1])))[0, :, 0].numpy()
            frames[row], pixels[row] = mask.any(axis=(1, 2)).mean(), mask.mean()
            yield mask

    write_masks(directory, clips.shape[:4], masks())
    return FoundPersons(float(frames.mean()), float(pixels.mean()))
