"""KTH and IXMAS: the names of the files hold all labels, and the person is the private label."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from anon_tune.datasets.labels import Found, Splitter, binary_columns, label_files, split_files
from anon_tune.datasets.readers.listing import Count, Listing, count_splits
from anon_tune.errors import DataError
from anon_tune.video.folder_files import files_below, is_video


def read_kth(root: Path, test_groups: Sequence[str], num_frames: int) -> Listing:
    """List KTH: 25 persons, 6 actions and the scenarios d1 to d4, with one file for each combination but one.

    The published split is by person, so a person of the test split could not be learned. This split is by scenario.
    The test split is d4 (indoors) unless `test_groups` names others; in d3, people wear other clothes.

    Raises:
        UsageError: A test group is unknown.
        DataError: No video has such a name.

    Source:
        Schuldt, Laptev, Caputo, ICPR 2004.
    """
    pattern = r"(?P<person>person\d\d)_(?P<action>[a-z]+)_(?P<group>d\d)(_uncomp)?"
    return _read(root, pattern, "person01_boxing_d1_uncomp.avi", test_groups or ("d4",), num_frames, 599)


def read_ixmas(root: Path, test_groups: Sequence[str], num_frames: int) -> Listing:
    """List IXMAS, cut into one file per action, take and camera. The default test split is take 2.

    Raises:
        UsageError: A test group is unknown.
        DataError: No video has such a name.

    Source:
        Weinland, Ronfard, Boyer, CVIU 2006. The file names are those of the clips that EPFL CVLAB published.
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
        raise DataError(str(root), f"no video is named like '{example}'", remedy="Name another folder with --root")
    found = [Found(file, match["action"], match["group"], (match["person"],)) for file, match in matches.items()]
    columns = binary_columns("person", [one.private[0] for one in found])
    samples = Splitter(label_files(found, split_files(found, test_groups, (), 0), columns), found, 0).split()
    counts = (Count("videos", len(found), published), *count_splits(samples, {"train": None, "test": None}))
    return Listing(root, root, tuple(samples), tuple(columns), counts, num_frames)
