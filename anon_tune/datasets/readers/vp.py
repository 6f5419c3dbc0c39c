"""VP-UCF101 and VP-HMDB51: five private attributes for every video of UCF101 and HMDB51."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from anon_tune.clips.labels import Labels
from anon_tune.datasets.readers import hmdb51, ucf101
from anon_tune.datasets.readers.label_files import LabelFolder, as_bool, read_table
from anon_tune.datasets.readers.listing import Count, Listing, count_splits, locate
from anon_tune.errors import DataError

ATTRIBUTES = ("skin_color", "face", "gender", "nudity", "relationship")
_TEST_GROUPS = {1: range(1, 8), 2: range(8, 15), 3: range(15, 22)}


def read_vp_ucf101(root: Path, labels: LabelFolder, split: int, num_frames: int) -> Listing:
    """List UCF101 with the attributes of VP-UCF101.

    The lists of UCF101 are not needed: the test splits are the groups 1 to 7, 8 to 14 and 15 to 21.

    Raises:
        DataError: The labels are missing or cannot be read.

    Source:
        Li et al., ICCV 2023 (arXiv:2301.03046). The order of the columns is not documented; it was found
        by comparing the 515 videos shared with PA-HMDB51.
    """
    samples = []
    private = read_attributes(labels, "ucf101")
    for video, values in private.items():
        one = ucf101.parse_video(video, "train", str(labels.path))
        is_test = int(one.group[1:]) in _TEST_GROUPS[split]
        samples.append(replace(one, split="test" if is_test else "train", private=values))
    located = locate(root, samples)
    counts = (
        Count("labelled videos", len(private), ucf101.NUM_VIDEOS),
        *count_splits(located, ucf101.PUBLISHED[split]),
    )
    return Listing(root, labels.path, located, ATTRIBUTES, counts, num_frames)


def read_vp_hmdb51(root: Path, labels: LabelFolder, split: int, num_frames: int) -> Listing:
    """List HMDB51 by its published split with the attributes of VP-HMDB51.

    Raises:
        DataError: Lists or labels are missing, cannot be read, or do not belong together.

    Source:
        As for `read_vp_ucf101`.
    """
    private = read_attributes(labels, "hmdb51")
    listed = hmdb51.read_lists(labels, split)
    located = locate(root, [with_attributes(one, private, labels) for one in listed if one.split != "unused"])
    counts = (
        Count("listed videos", len(listed), hmdb51.NUM_VIDEOS),
        Count("labelled videos", len(private), hmdb51.NUM_VIDEOS),
        *count_splits(located, hmdb51.PUBLISHED),
    )
    return Listing(root, labels.path, located, ATTRIBUTES, counts, num_frames)


def with_attributes(one: Labels, private: Mapping[str, tuple[bool, ...]], labels: LabelFolder) -> Labels:
    """Return a video with its attributes. The labels must have an entry for it."""
    key = str(PurePosixPath(one.id).with_suffix(".mp4"))
    if key not in private:
        raise DataError(str(labels.path), f"no VP-HMDB51 labels for '{key}'", remedy="Download the whole label file")
    return replace(one, private=private[key])


def read_attributes(labels: LabelFolder, name: str) -> dict[str, tuple[bool, ...]]:
    """Return the attributes of every video, ``<action>/<video>.mp4``, in the order of `ATTRIBUTES`.

    Args:
        labels: Folder of ``<name>_privacy_attribute_label.pickle`` as published, or of a CSV of the same name.
        name: ucf101 or hmdb51.

    Raises:
        DataError: Neither file exists, or it holds anything but zeros and ones.
    """
    stem = f"{name}_privacy_attribute_label"
    file = labels.find(f"{stem}.csv", f"{stem}.pickle")
    if file.suffix == ".pickle":
        return _from_pickle(file)
    rows = read_table(file, ("video", *ATTRIBUTES))
    return {row["video"]: tuple(as_bool(row[at], f"{file}: {row['video']}") for at in ATTRIBUTES) for row in rows}


def _from_pickle(file: Path) -> dict[str, tuple[bool, ...]]:
    rule = "must hold a pickled dict of video names to arrays of five zeros and ones"
    try:
        with file.open("rb") as source:
            found = _ArraysOnly(source).load()
        if not isinstance(found, dict):
            raise TypeError(type(found).__name__)
        private = {}
        for video, array in found.items():
            values = array.values() if isinstance(array, _Array) else [*array]
            if not isinstance(video, str) or len(values) != len(ATTRIBUTES) or not {*values} <= {0, 1}:
                raise ValueError(f"{video!r}: {values}")
            private[video] = tuple(value == 1 for value in values)
    except Exception as error:  # a damaged pickle may raise anything
        got = re.sub(r"\s+", " ", str(error)) or type(error).__name__
        raise DataError(str(file), rule, got, "Download the file again") from None
    return private


class _Dtype:
    """Stands in for a numpy dtype in a pickle: keeps its code, as ``i8``."""

    def __init__(self, code: str, *_: object) -> None:
        self.code = code

    def __setstate__(self, state: object) -> None:
        """Ignore the byte order and the rest: every machine in use is little-endian."""


class _Array:
    """Stands in for a numpy array in a pickle: keeps its bytes, which `values` turns into numbers."""

    def __init__(self, raw: bytes = b"", dtype: object = None) -> None:
        self.raw, self.dtype = raw, dtype

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, _, self.dtype, _, self.raw = state

    def values(self) -> list[Any]:
        """Return the numbers of the array."""
        if not isinstance(self.dtype, _Dtype) or self.dtype.code not in _NUMBERS:
            raise TypeError("an array that does not hold numbers")
        numbers: list[Any] = np.frombuffer(bytes(self.raw), self.dtype.code).tolist()
        return numbers


_NUMBERS = {"b1", "i1", "u1", "i2", "i4", "i8", "f4", "f8"}
_STAND_INS: dict[str, Any] = {
    "ndarray": _Array,
    "dtype": _Dtype,
    "_reconstruct": lambda *_: _Array(),
    "_frombuffer": lambda raw, dtype, *_: _Array(raw, dtype),
    "encode": lambda text, _: text.encode("latin1"),
}


class _ArraysOnly(pickle.Unpickler):
    """Builds plain values and stand-ins for numpy's arrays, nothing else.

    A pickle can otherwise run any code, and with numpy's own classes read any memory.
    """

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".", maxsplit=1)[0] not in ("numpy", "_codecs") or name not in _STAND_INS:
            raise pickle.UnpicklingError(f"the object {module}.{name}")
        return _STAND_INS[name]
