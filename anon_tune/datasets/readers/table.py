"""A folder of videos with a CSV file of labels."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from anon_tune.clips.frame_truth import NORMAL, FrameTruth
from anon_tune.clips.labels import Labels
from anon_tune.clips.manifest import SPLITS
from anon_tune.datasets.labels import binary_columns
from anon_tune.datasets.readers.label_files import LabelFolder, read_table
from anon_tune.datasets.readers.listing import Count, Listing
from anon_tune.errors import DataError
from anon_tune.video.folder_files import files_below

COLUMNS = ("file", "split", "group", "action")
TRUTH = "abnormal_frames"
_SPANS = re.compile(r"(\d+-\d+)(\s+\d+-\d+)*|none|unknown")


def read_csv(root: Path, labels: LabelFolder, num_frames: int) -> Listing:
    """List the files of a CSV with the columns file, split, group and action. Every other column is a private label.

    `binary_columns` tells how private labels become attributes. The split is train, val or test. A column
    ``abnormal_frames`` is no private label but frame truth: parts such as ``165-240 300-310``, first and last frame
    counted from 0, ``none`` for no abnormal frame, or ``unknown``.

    Args:
        root: Folder of the videos.
        labels: One ``.csv`` file, or the folder that holds it and no other.
        num_frames: Frames per clip.

    Raises:
        DataError: There is not exactly one such file, or it cannot be used.
    """
    names = labels.matching("*.csv")
    if len(names) != 1:
        got = ", ".join(names[:3]) or "none"
        raise DataError(str(labels.path), "must hold one .csv file", got, "Name the file with --labels")
    file = labels.find(names[0])
    rows = read_table(file, COLUMNS)
    if not rows:
        raise DataError(str(file), "holds no labels", remedy="Add a line for each video")
    for number, row in enumerate(rows, start=2):
        if row["split"] not in SPLITS:
            rule = f"a split must be one of {', '.join(SPLITS)}"
            raise DataError(f"{file}: row {number}", rule, row["split"] or "nothing", "Correct the row")
        if empty := [name for name, value in row.items() if not value]:
            raise DataError(f"{file}: row {number}", f"'{empty[0]}' must not be empty", remedy="Fill it in")
    columns: dict[str, tuple[bool, ...]] = {}
    for name in rows[0]:
        if name not in (*COLUMNS, TRUTH):
            _refuse_an_index(file, name, [row[name] for row in rows])
            columns |= binary_columns(name, [row[name] for row in rows])
    private = list(zip(*columns.values(), strict=True)) or [()] * len(rows)
    there = set(files_below(root))
    paths = [PurePosixPath(row["file"]).as_posix() for row in rows]
    samples = tuple(
        Labels(path, path if path in there else "", row["split"], row["group"], row["action"], values, truth)
        for path, row, values, truth in zip(paths, rows, private, (_truth(row, file) for row in rows), strict=True)
    )
    counts = (Count("videos", sum(path in there for path in paths), len(rows)),)
    return Listing(root, file, samples, tuple(columns), counts, num_frames)


def _refuse_an_index(file: Path, name: str, values: Sequence[str]) -> None:
    """Refuse a private label with a different value in every row, such as a column of row numbers."""
    if len(set(values)) == len(values) > 2:
        rule = f"column '{name}' must repeat its values, or each row is a private attribute"
        raise DataError(str(file), rule, f"{len(values)} different ones", "Remove the column")


def _truth(row: Mapping[str, str], file: Path) -> FrameTruth | None:
    text = row.get(TRUTH, "unknown")
    if not _SPANS.fullmatch(text):
        rule = f"'{TRUTH}' must be parts such as 165-240 300-310, none, or unknown"
        raise DataError(f"{file}: '{row['file']}'", rule, text, "Correct the row")
    if text == "unknown":
        return None
    ends = [tuple(map(int, part.split("-"))) for part in text.split() if part != "none"]
    if any(last < first for first, last in ends):
        raise DataError(f"{file}: '{row['file']}'", "an abnormal part must end after its beginning", text, "Correct it")
    if ends and row["action"] == NORMAL:
        rule = f"no frame of a video of action '{NORMAL}' may be abnormal"
        raise DataError(f"{file}: '{row['file']}'", rule, text, "Correct the row")
    return FrameTruth(tuple((first, last + 1) for first, last in ends))
