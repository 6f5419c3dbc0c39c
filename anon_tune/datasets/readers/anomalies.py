"""UCF-Crime and ShanghaiTech: videos that are normal or abnormal, with frame truth of the test videos.

The lists tell nothing private. A file ``private.csv`` may: a column ``file``, and a column for each private label.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from anon_tune.clips.frame_truth import NORMAL, FrameTruth
from anon_tune.clips.labels import Labels
from anon_tune.datasets.labels import binary_columns
from anon_tune.datasets.readers.label_files import LabelFolder, read_lines, read_table
from anon_tune.datasets.readers.listing import Listing, count_splits, locate
from anon_tune.errors import DataError
from anon_tune.folder import why

PRIVATE = "private.csv"
UCF_CRIME = {"train": 1_610, "test": 290}
SHANGHAITECH = {"train": 238, "test": 199}
_SPANS = ("Temporal_Anomaly_Annotation_for_Testing_Videos.txt", "Temporal_Anomaly_Annotation.txt")
_REMEDY = "Correct the file or download it again"


def read_ucf_crime(root: Path, labels: LabelFolder, num_frames: int) -> Listing:
    """List UCF-Crime: the training list, and the test videos with their abnormal frames.

    A line of the training list is ``Abuse/Abuse001_x264.mp4``; a folder whose name holds ``Normal`` has normal videos.
    A line of the test videos is ``Abuse028_x264.mp4  Abuse  165  240  -1  -1``: a name, a class, and the first and the
    last frame of up to two abnormal parts, counted from 1; -1 stands for none. The action of a video is its class, or
    ``normal``.

    Raises:
        DataError: A list is missing or cannot be read.

    Source:
        Sultani, Chen, Shah (arXiv:1801.04264); frames count from 1 as in the MATLAB code of its authors.
    """
    train = []
    for line in read_lines(labels.find("Anomaly_Train.txt")):
        kind, _, name = line.rpartition("/")
        action = NORMAL if "Normal" in (kind or name) else kind or re.split(r"\d", name)[0]
        train.append(_video(name, "train", action))
    file = labels.find(*_SPANS)
    test = [_ucf_test(line, f"{file}: line {number}") for number, line in enumerate(read_lines(file), start=1)]
    return _listing(root, labels, [*train, *test], UCF_CRIME, num_frames)


def read_shanghaitech(root: Path, labels: LabelFolder, num_frames: int) -> Listing:
    """List ShanghaiTech by lists for weak supervision: ``SH_Train.txt``, ``SH_Test.txt`` and a mask for some videos.

    A line is the name of a video, and perhaps its label after a comma or a space: 0 for normal, 1 for abnormal. The
    mask of a video is ``NAME.npy``, one number for each of its frames, 0 for normal frames. A video without a label is
    abnormal if its mask marks a frame. Masks of training videos are not kept.

    Raises:
        DataError: A list is missing, or a list or a mask cannot be used.

    Source:
        Zhong et al. (arXiv:1903.07256) for the split; masks as in the data set of Luo, Liu, Gao (ICCV 2017).
    """
    samples: list[Labels] = []
    for split in ("train", "test"):
        file = labels.find(*(f"SH_{split.capitalize()}{end}.txt" for end in ("", "_new")), f"{split}.txt")
        for number, line in enumerate(read_lines(file), start=1):
            name, *rest = re.split(r"[,\s]+", line)
            if len(rest) > 1 or (rest and rest[0] not in ("0", "1")):
                rule = "must be a name and perhaps a label of 0 or 1"
                raise DataError(f"{file}: line {number}", rule, line, _REMEDY)
            samples.append(_shanghaitech_video(PurePosixPath(name).name, split, rest, labels))
    return _listing(root, labels, samples, SHANGHAITECH, num_frames)


def _ucf_test(line: str, where: str) -> Labels:
    words = line.split()
    try:
        name, kind, *ends = words[0], words[1], *map(int, words[2:])
    except (ValueError, IndexError):
        ends = []
    if len(ends) != 4:
        rule = "must be a name, a class, and four frame numbers"
        raise DataError(where, rule, line, _REMEDY)
    spans = tuple((first - 1, last) for first, last in (ends[:2], ends[2:]) if first != -1)
    if any(not 0 <= first < end for first, end in spans):
        raise DataError(where, "an abnormal part must begin at frame 1 or later, and end after that", line, _REMEDY)
    action = NORMAL if kind.startswith("Normal") else kind
    if bool(spans) == (action == NORMAL):
        raise DataError(where, "a video has abnormal parts unless its class is Normal", line, _REMEDY)
    return replace(_video(name, "test", action), truth=FrameTruth(spans))


def _shanghaitech_video(name: str, split: str, label: Sequence[str], labels: LabelFolder) -> Labels:
    stem = PurePosixPath(name).stem
    truth = _mask(labels.find(f"{stem}.npy")) if f"{stem}.npy" in labels else None
    is_abnormal = label[0] == "1" if label else truth is not None and bool(truth.spans)
    if split == "test" and truth is not None and truth.spans and not is_abnormal:
        rule = "must mark no frame of a video whose label is 0"
        raise DataError(str(labels.find(f"{stem}.npy")), rule, remedy="Correct the label or the mask")
    if truth is None and not is_abnormal:
        truth = FrameTruth(())
    one = _video(name, split, "abnormal" if is_abnormal else NORMAL)
    return replace(one, truth=truth) if split == "test" else one


def _mask(file: Path) -> FrameTruth:
    try:
        mask = np.load(file)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(str(file), "is not a complete .npy file", remedy=_REMEDY, cause=why(error)) from None
    if mask.ndim != 1 or not len(mask):
        raise DataError(str(file), "a mask must have one number for each frame", f"shape {mask.shape}", _REMEDY)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (mask != 0).astype(np.int8), [0]])))
    return FrameTruth(tuple((int(first), int(end)) for first, end in edges.reshape(-1, 2)), len(mask))


def _video(name: str, split: str, action: str) -> Labels:
    return Labels(name, "", split, PurePosixPath(name).stem, action, ())


def _listing(
    root: Path, labels: LabelFolder, samples: Sequence[Labels], published: Mapping[str, int], num_frames: int
) -> Listing:
    attributes: tuple[str, ...] = ()
    if PRIVATE in labels:
        attributes, samples = _with_private(labels.find(PRIVATE), samples)
    located = locate(root, samples)
    return Listing(root, labels.path, located, attributes, tuple(count_splits(located, published)), num_frames)


def _with_private(file: Path, samples: Sequence[Labels]) -> tuple[tuple[str, ...], list[Labels]]:
    """Add the private labels of a table, by the names of the videos without folder and suffix."""
    rows = {PurePosixPath(row["file"]).stem.casefold(): row for row in read_table(file, ("file",))}
    keys = [one.group.casefold() for one in samples]
    if missing := [one.id for one, key in zip(samples, keys, strict=True) if key not in rows]:
        raise DataError(str(file), "must have a row for every video", f"none for '{missing[0]}'", "Add it")
    columns: dict[str, tuple[bool, ...]] = {}
    for name in (name for name in next(iter(rows.values())) if name != "file"):
        columns |= binary_columns(name, [rows[key][name] for key in keys])
    private = list(zip(*columns.values(), strict=True)) or [()] * len(samples)
    return tuple(columns), [replace(one, private=own) for one, own in zip(samples, private, strict=True)]
