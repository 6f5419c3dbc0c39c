"""What a reader returns: the samples that the labels of a data set name, their files on disk, and counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from anon_tune.clips.keypoint_file import KeyPoints
from anon_tune.clips.labels import Labels
from anon_tune.datasets.decode import ClipForm
from anon_tune.datasets.labels import Splitter, check_fraction
from anon_tune.datasets.side_by_side import Map, one_by_one
from anon_tune.datasets.video_folder import ImportResult, store_files, what_is_missing
from anon_tune.errors import DataError
from anon_tune.video.folder_files import files_below, is_video

_REMEDY = "Correct the label files or download them again"
SPLIT_NAMES = {"train": "training", "val": "validation", "test": "test"}


@dataclass(frozen=True, slots=True)
class Count:
    """How many items of one kind were found.

    Attributes:
        what: The kind, such as "test videos".
        found: Number of items that were found.
        published: Number of items in the data set; None if it is not published.
    """

    what: str
    found: int
    published: int | None


@dataclass(frozen=True, slots=True)
class Listing:
    """A data set as its labels describe it.

    Attributes:
        root: Folder of the videos or stills.
        labels: Folder or file of the labels.
        samples: One per labelled video or still; `file` is empty if it is not on disk.
        attributes: Names of the private attributes, in the order of the samples' labels; possibly none.
        counts: Numbers that were found, beside the published numbers.
        num_frames: Frames per clip. Labels may depend on it.
        frame_step: As in `ClipForm`. Labels may depend on it too.
        num_windows: As in `ClipForm`. Labels may depend on it too.
        keep_frames: As in `ClipForm`. Labels may depend on it too.

    Raises:
        DataError: A video is listed twice, or a group is in the test split and in another split.
    """

    root: Path
    labels: Path
    samples: tuple[Labels, ...]
    attributes: tuple[str, ...]
    counts: tuple[Count, ...]
    num_frames: int
    frame_step: int | None = None
    num_windows: int = 1
    keep_frames: int | None = None

    def __post_init__(self) -> None:
        test = {one.group for one in self.samples if one.split == "test"}
        seen: set[str] = set()
        for one in self.samples:
            if one.id in seen:
                raise DataError(str(self.labels), "a video must be listed only once", one.id, _REMEDY)
            seen.add(one.id)
            if one.split != "test" and one.group in test:
                rule = "no group may be in the test split and in another"
                raise DataError(str(self.labels), rule, f"'{one.group}' of '{one.id}'", _REMEDY)


def locate(root: Path, samples: Sequence[Labels], is_kind: Callable[[str], bool] = is_video) -> tuple[Labels, ...]:
    """Find the file of every sample.

    Names are compared without folder, suffix and case, because releases differ in all three.

    Args:
        root: Folder, searched with all folders below it.
        samples: Samples whose ids are the published paths.
        is_kind: Returns, for the name of a file, whether the file may belong to a sample.

    Raises:
        DataError: `root` is not a folder, or two files in it have the name of one sample.
    """
    files: dict[str, list[str]] = {}
    for file in files_below(root):
        if is_kind(file):
            files.setdefault(PurePosixPath(file).stem.casefold(), []).append(file)
    located = []
    for one in samples:
        paths = files.get(PurePosixPath(one.id).stem.casefold(), [""])
        if len(paths) > 1:
            rule = f"only one file may be called like '{one.id}'"
            raise DataError(str(root), rule, " and ".join(paths[:2]), "Keep one of them")
        located.append(replace(one, file=paths[0]))
    return tuple(located)


def count_splits(samples: Sequence[Labels], published: Mapping[str, int | None], noun: str = "videos") -> list[Count]:
    """Count the samples of each split that are on disk."""
    there = Counter(one.split for one in samples if one.file)
    return [Count(f"{SPLIT_NAMES[split]} {noun}", there[split], number) for split, number in published.items()]


def import_listing(
    listing: Listing,
    height: int,
    width: int,
    output: Path | str,
    val_fraction: float = 0.15,
    partial: bool = False,
    gray: bool = False,
    accept_damage: bool = False,
    skip_bad: bool = False,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
    decode_with: Map = one_by_one,
    keypoints: KeyPoints | None = None,
) -> ImportResult:
    """Decode the files of a listing and store their clips.

    Args:
        listing: The result of `read_data_set`.
        height: Pixels, at least 1.
        width: Pixels, at least 1.
        output: Clip store to make.
        val_fraction: Share of the training clips that is held out for validation if the data set has no validation
            split of its own. Their groups are also in the training split.
        partial: Import the files that exist, even if others are missing.
        gray: As in `ClipForm`.
        accept_damage: As in `ClipForm`.
        skip_bad: True if the caller accepts bad files; changes only the remedy of an error.
        force: Replace `output` if it exists.
        progress: Called with files done and total files.
        decode_with: Where files are decoded.
        keypoints: Key points of the people in the files; None for a store without any.

    Raises:
        DataError: Files are missing and `partial` is not given, there are too few files for a study, or as in
            `store_files`.
    """
    check_fraction(val_fraction)
    there = [one for one in listing.samples if one.file]
    if not partial:
        _check_complete(listing)
    if rule := what_is_missing(there, listing.samples, "was found", "missing"):
        raise DataError(str(listing.root), rule, remedy="Add more of the data set")
    has_own = any(one.split == "val" for one in there)
    splitter = Splitter(there, there, 0 if has_own else val_fraction)
    windows = listing.num_windows, listing.keep_frames
    form = ClipForm(listing.num_frames, height, width, listing.frame_step, gray, accept_damage, *windows)
    how = (skip_bad, force, progress, decode_with, keypoints)
    return store_files(listing.root, splitter, listing.attributes, form, output, *how)


def _check_complete(listing: Listing) -> None:
    remedy = "Add the missing files, or import the others with --partial"
    if missing := [one.id for one in listing.samples if not one.file]:
        rule = f"must hold all {len(listing.samples):,} files that the labels name"
        got = f"{len(listing.samples) - len(missing):,} of them, without '{missing[0]}'"
        raise DataError(str(listing.root), rule, got, remedy)
    for count in listing.counts:
        if count.published is not None and count.found < count.published:
            rule = f"must have all {count.published:,} {count.what} of the data set"
            raise DataError(str(listing.labels), rule, f"{count.found:,}", remedy)
