"""KTH and IXMAS: their files' names say everything, and who moves is the private label."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from anon_tune.datasets.labels import Found, Splitter, binary_columns, label_files, split_files
from anon_tune.datasets.readers.listing import Count, Listing, count_splits
from anon_tune.errors import DataError
from anon_tune.video.folder_files import files_below, is_video


def read_kth(root: Path, test_groups: Sequence[str], num_frames: int) -> Listing:
    """List KTH: 25 persons, 6 actions, the scenarios d1 to d4, one file each and one missing.

    The published split is by person, so a test person could not be learned. This one is by
    scenario: d4 (indoors) is tested on unless `test_groups` says otherwise; d3 has other clothes.

    Raises:
        DataError: If no video has such a name, or on an unknown group.

    Source:
        Schuldt, Laptev, Caputo, ICPR 2004.
    """
    pattern = r"(?P<person>person\d\d)_(?P<action>[a-z]+)_(?P<group>d\d)(_uncomp)?"
    return _read(root, pattern, "person01_boxing_d1_uncomp.avi", test_groups or ("d4",), num_frames, 599)


def read_ixmas(root: Path, test_groups: Sequence[str], num_frames: int) -> Listing:
    """List IXMAS as cut into one file an action, take and camera: take 2 is tested on unless told otherwise.

    Raises:
        DataError: If no video has such a name, or on an unknown group.

    Source:
        Weinland, Ronfard, Boyer, CVIU 2006; in the names of the clips that EPFL CVLAB published.
    """
    pattern = r"(?P<person>[A-Za-z]+)(?P<group>\d)_\d+_(?P<action>.+)_cam\d"
    return _read(root, pattern, "alba1_1_check-watch_cam0.avi", test_groups or ("2",), num_frames, None)


def _read(
    root: Path, pattern: str, example: str, test_groups: Sequence[str], num_frames: int, published: int | None
) -> Listing:
    matches = {
        file: match
        for file in files_below(root)
        if is_video(file) and (match := re.fullmatch(pattern, PurePosixPath(file).stem))
    }
    if not matches:
        raise DataError(str(root), f"no video is named like '{example}'", remedy="Name another folder by --root")
    found = [Found(file, match["action"], match["group"], (match["person"],)) for file, match in matches.items()]
    columns = binary_columns("person", [one.private[0] for one in found])
    samples = Splitter(label_files(found, split_files(found, test_groups, (), 0), columns), found, 0).split()
    counts = (Count("videos", len(found), published), *count_splits(samples, {"train": None, "test": None}))
    return Listing(root, root, tuple(samples), tuple(columns), counts, num_frames)
