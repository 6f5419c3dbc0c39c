"""The person masks of a clip store: which pixels of every frame show a person.

They are an optional file, ``persons.npy``: a uint8 array of shape (N, T, H, ceil(W / 8)), whose bits are packed along
the width as `numpy.packbits` does. A bit is 1 where a person is. If the store holds several windows of each video,
there are masks of all F stored frames in place of T.

Shapes: N clips, T frames, H height, W width, C = 3 channels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anon_tune.errors import DataError
from anon_tune.folder import why

if TYPE_CHECKING:
    from anon_tune.clips.clip_set import ClipSet

PERSONS = "persons.npy"
BLANK = 128
"""The grey level that replaces the pixels of persons."""

_REMEDY = "Remove the file, or find the persons again with 'anon-tune clips persons DIR --force'"


def write_masks(directory: Path, shape: tuple[int, int, int, int], masks: Iterable[NDArray[np.bool_]]) -> None:
    """Write person masks into a clip store, completely or not at all.

    Args:
        directory: The clip store.
        shape: N, T, H and W.
        masks: The masks (T,H,W) of all N clips, in the order of the store.

    Raises:
        DataError: The file cannot be written.
    """
    hidden = directory / f".{PERSONS}"
    try:
        packed = np.lib.format.open_memmap(hidden, mode="w+", dtype=np.uint8, shape=_packed(shape))
        for row, mask in enumerate(masks):
            packed[row] = np.packbits(mask, axis=-1)
        packed.flush()
        hidden.rename(directory / PERSONS)
    except OSError as error:
        remedy = "Free space, or check the permissions of the store"
        raise DataError(str(directory / PERSONS), "cannot be written", remedy=remedy, cause=why(error)) from None
    finally:
        hidden.unlink(missing_ok=True)


def map_masks(directory: Path, shape: tuple[int, int, int, int]) -> NDArray[np.uint8] | None:
    """Map the packed person masks of a clip store for reading; None if it has none.

    Args:
        directory: The clip store.
        shape: N, T, H and W of the store.

    Raises:
        DataError: The file is damaged, or is not for clips of this shape.
    """
    path = directory / PERSONS
    if not path.is_file():
        return None
    try:
        packed: NDArray[np.uint8] = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise DataError(str(path), "not a complete .npy file", remedy=_REMEDY, cause=why(error)) from None
    if packed.dtype != np.uint8 or packed.shape != _packed(shape):
        rule = f"the clips require uint8 masks of shape {_packed(shape)}"
        raise DataError(str(path), rule, f"{packed.dtype} {packed.shape}", _REMEDY)
    return packed


def blanked(frames: NDArray[np.uint8], packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a copy of frames (...,H,W,3) in which persons, by their packed masks (...,H,ceil(W/8)), are grey."""
    masks = np.unpackbits(packed, axis=-1, count=frames.shape[-2]).astype(bool)
    changed = np.array(frames)
    changed[masks] = BLANK
    return changed


def without_persons(clips: ClipSet, rows: NDArray[np.int64], windows: NDArray[np.float64]) -> list[NDArray[np.uint8]]:
    """Return the same windows as `ClipSet.shown`, in which persons are grey; the clips must have person masks."""
    assert clips.persons is not None
    if clips.windows is None:
        masks = [clips.persons[row] for row in rows]
    else:
        masks = replace(clips.windows, stored=clips.persons).read(rows, clips.windows.starts(rows, windows))
    return [blanked(frames, packed) for frames, packed in zip(clips.shown(rows, windows), masks, strict=True)]


def masks_digest(packed: NDArray[np.uint8]) -> str:
    """Return 16 hex digits that change with any mask."""
    return hashlib.sha256(np.ascontiguousarray(packed).data).hexdigest()[:16]


def _packed(shape: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    num, num_frames, height, width = shape
    return num, num_frames, height, -(-width // 8)
