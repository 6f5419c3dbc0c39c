"""The frames of a clip store: one memory-mapped uint8 array of shape (N, T, H, W, 3)."""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from anon_tune.clips.manifest import Manifest
from anon_tune.errors import DataError, UsageError
from anon_tune.folder import why

_REMEDY = "Import or make the clips again"
_MOST_BYTES = 2**31  # of a clip, which is held in memory
_MOST_PIXELS = 2**14  # of a side; FFmpeg scales no larger pictures


def content_hash(frames: NDArray[np.uint8]) -> str:
    """Return the SHA-256 of the frames of one clip, as 64 hex digits."""
    return hashlib.sha256(np.ascontiguousarray(frames).data).hexdigest()


def check_shape(shape: tuple[int, int, int, int]) -> None:
    """Refuse clips that are too large to be decoded.

    Args:
        shape: Shape of one clip, (T, H, W, 3).

    Raises:
        UsageError: A clip or a side of its frames is too large.
    """
    if math.prod(shape) > _MOST_BYTES or max(shape[1:3]) > _MOST_PIXELS:
        rule = f"a clip must have at most {_MOST_BYTES:,} bytes, and a side at most {_MOST_PIXELS:,} pixels"
        got = f"{shape[0]} frames of {shape[1]}x{shape[2]} pixels"
        raise UsageError("--size", rule, got, "Choose smaller or fewer frames")


def frames_on_disk(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return an array of zeros in a file without a name, whose space is free again when the array is gone."""
    with tempfile.TemporaryFile(prefix="anon-tune-") as file:
        return np.memmap(file, np.uint8, "w+", shape=shape)


def map_frames(path: Path, manifest: Manifest, every: bool = False) -> NDArray[np.uint8]:
    """Map the frames of a store for reading.

    Args:
        path: The ``.npy`` file.
        manifest: The manifest that the frames must agree with.
        every: Compare the hash of every clip, which reads the whole file. Otherwise only the first clip is compared,
            which is enough to notice the frames of another store.

    Returns:
        (N, F, H, W, 3) uint8, read-only; F is T unless the store holds several windows of a video.

    Raises:
        DataError: The file is damaged or belongs to another manifest.
    """
    try:
        frames: NDArray[np.uint8] = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise DataError(str(path), "not a complete .npy file", remedy=_REMEDY, cause=why(error)) from None
    expected = (len(manifest.entries), *manifest.stored_shape)
    if frames.dtype != np.uint8 or frames.shape != expected:
        got = f"{frames.dtype} {frames.shape}"
        raise DataError(str(path), f"the manifest requires uint8 frames of shape {expected}", got, _REMEDY)
    if path.stat().st_size != frames.offset + frames.nbytes:  # type: ignore[attr-defined]
        raise DataError(str(path), "holds more than its frames", remedy=_REMEDY)
    for row, entry in enumerate(manifest.entries if every else manifest.entries[:1]):
        if content_hash(frames[row]) != entry.content_hash:
            raise DataError(str(path), "the frames are not those of the manifest", remedy=_REMEDY)
    return frames


def move_rows(file: BinaryIO, order: Sequence[int], start: int, num_bytes: int) -> None:
    """Put into each row of a file the content of the row that ``order`` names. One row at a time is in memory.

    Args:
        file: Open for reading and writing.
        order: A permutation of all rows.
        start: Byte at which the first row begins.
        num_bytes: Bytes of a row.
    """

    def read(at: int) -> bytes:
        file.seek(start + at * num_bytes)
        return file.read(num_bytes)

    done = [False] * len(order)
    for first in range(len(order)):
        if done[first]:
            continue
        kept, row = read(first), first
        while True:
            done[row] = True
            source = order[row]
            frames = kept if source == first else read(source)
            file.seek(start + row * num_bytes)
            file.write(frames)
            if source == first:
                break
            row = source
    file.flush()
