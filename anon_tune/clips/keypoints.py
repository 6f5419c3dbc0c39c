"""The key points of the people in clips, which a clip store can hold beside its frames.

Shapes: N clips, T frames per clip, P people in a frame, 17 points of a person in the order of `POINTS`, and 3 values
of a point: its column and its row as fractions of the frame's width and height, and how sure it is, 0 for a point that
is not known. A person all of whose points are unknown is not there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anon_tune.clips.manifest import KEYPOINTS, Manifest
from anon_tune.errors import DataError
from anon_tune.folder import why

POINTS = (
    "nose",
    *(f"{side}_{part}" for part in ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
      for side in ("left", "right")),
)  # fmt: skip
"""The points of COCO, in its order. Left is the left of the person."""

Points = NDArray[np.float32]


def add_keypoints(directory: Path, manifest: Manifest, found: Mapping[str, Points]) -> Manifest:
    """Write the key points of the clips of a store, and return its manifest with their hash.

    Args:
        directory: The directory of the store.
        manifest: The manifest of the store.
        found: The key points (T,P,17,3) of some clips, by id; P may differ.
    """
    most = max((points.shape[1] for points in found.values()), default=0)
    every = np.zeros((len(manifest.entries), manifest.shape[0], most, len(POINTS), 3), np.float32)
    for row, entry in enumerate(manifest.entries):
        if entry.id in found:
            every[row, :, : found[entry.id].shape[1]] = found[entry.id]
    np.save(directory / KEYPOINTS, every)
    return replace(manifest, keypoints=hashlib.sha256(every.data).hexdigest())


def map_keypoints(directory: Path, manifest: Manifest) -> Points | None:
    """Map the key points of a store for reading, (N,T,P,17,3); None if it has none.

    Raises:
        DataError: The file is missing, damaged, or that of another manifest.
    """
    if not manifest.keypoints:
        return None
    path, remedy = directory / KEYPOINTS, "Import or make the clips again"
    try:
        points: NDArray[Any] = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise DataError(str(path), "not a complete .npy file", remedy=remedy, cause=why(error)) from None
    expected = (len(manifest.entries), manifest.shape[0], len(POINTS), 3)
    same_shape = points.ndim == 5 and (*points.shape[:2], *points.shape[3:]) == expected
    if not same_shape or points.dtype != np.float32 or hashlib.sha256(points.data).hexdigest() != manifest.keypoints:
        raise DataError(str(path), "the key points are not those of the manifest", remedy=remedy)
    return points
