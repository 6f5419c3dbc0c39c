"""Import videos and their labels: from a folder by a pattern, or from a data set by its published labels."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from anon_tune.commands.watch import ImportWatch
from anon_tune.errors import DataError, UsageError, suggest

if TYPE_CHECKING:
    from anon_tune.datasets import ImportResult
    from anon_tune.datasets.side_by_side import Map

_FOLDER_NEEDS = ("pattern", "action", "private", "group", "test_groups")
_FOLDER_ONLY = ("pattern", "action", "private", "group", "val_groups")
_DATA_SET_ONLY = ("labels", "split", "attributes", "partial")
_CHOICES = ("labels", "split", "attributes", "test_groups", "num_frames", "frame_step", "windows", "keep_frames")
_REMEDY = "See 'anon-tune clips import --help'"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """The options of ``anon-tune clips import``. None, an empty value or False means that an option is not given.

    Attributes:
        source: Folder of videos, or the name of a data set if `root` is given.
        output: Clip store to write.
        num_frames: Frames per clip, spread evenly over the video; None for 16.
        frame_step: Instead of spreading frames evenly, take every K-th frame, from the middle of the video.
        windows: Windows of `num_frames` frames to keep of each video; None for 1.
        keep_frames: Keep up to so many frames of each video instead, in which windows may begin anywhere.
        size: Height and width of a frame in pixels.
        val_fraction: If there is no validation split: share of training clips held out for validation.
        test_groups: Values of the group that form the test split.
        gray: Convert frames to gray.
        accept_damage: Import what can be decoded of videos whose damage is only suspected.
        workers: Number of files to decode at a time; None for one per CPU.
        skip_bad: Do not raise if some files could not be used.
        force: Replace an existing clip store.
        pattern: For a folder: regular expression with named groups; matches relative paths.
        action: For a folder: named group that holds the action.
        private: For a folder: named groups that hold private attributes.
        group: For a folder: named group whose values are never shared by two splits.
        val_groups: For a folder: values of the group that form the validation split.
        root: For a data set: folder of its videos or stills.
        labels: For a data set: folder or file of labels, if they are not in `root`.
        split: For a data set: number of the published split, 1 to 3; None for 1.
        attributes: For vispr: vispr1, vispr2 or pa-hmdb51; None for vispr1.
        partial: For a data set: accept missing files and import those that are there.
        keypoints: File with key points of the people in the videos; see `anon_tune.clips.keypoint_file`.
    """

    source: str
    output: Path
    num_frames: int | None = None
    frame_step: int | None = None
    windows: int | None = None
    keep_frames: int | None = None
    size: tuple[int, int] = (112, 112)
    val_fraction: float = 0.15
    test_groups: Sequence[str] = ()
    gray: bool = False
    accept_damage: bool = False
    workers: int | None = None
    skip_bad: bool = False
    force: bool = False
    pattern: str | None = None
    action: str | None = None
    private: Sequence[str] = ()
    group: str | None = None
    val_groups: Sequence[str] = ()
    root: Path | None = None
    labels: Path | None = None
    split: int | None = None
    attributes: str | None = None
    partial: bool = False
    keypoints: Path | None = None

    def is_given(self, name: str) -> bool:
        """True if an option has a value."""
        value = getattr(self, name)
        return value is not None and value is not False and value != ()


def check_options(options: ImportOptions) -> None:
    """Refuse options that do not go together.

    Raises:
        UsageError: An option is missing or belongs to the other kind of source, or the data set is unknown.
    """
    from anon_tune.datasets.readers import DATA_SETS

    source, missing = options.source, list[str]()
    if options.root is not None:
        if source not in DATA_SETS:
            raise UsageError("clips import", f"unknown data set '{source}'", remedy=suggest(source, DATA_SETS))
        taken = {flag.removeprefix("--").replace("-", "_") for flag in DATA_SETS[source]}
        foreign = [*_FOLDER_ONLY, *(name for name in _CHOICES if name not in taken)]
    else:
        if source in DATA_SETS and not Path(source).is_dir():
            raise UsageError("clips import", f"data set '{source}' needs --root", remedy=_REMEDY)
        foreign = [*_DATA_SET_ONLY]
        missing = [name for name in _FOLDER_NEEDS if not options.is_given(name)]
    what = f"data set '{source}'" if options.root is not None else f"folder '{source}'"
    if wrong := [name for name in foreign if options.is_given(name)]:
        raise UsageError("clips import", f"{_flags(wrong)} cannot go with {what}", remedy=_REMEDY)
    if missing:
        raise UsageError("clips import", f"{what} needs {_flags(missing)}", remedy=_REMEDY)


def import_clips(options: ImportOptions, watch: ImportWatch, on_store: Callable[[Path], None]) -> ImportResult:
    """Import the folder or data set that the options name.

    Args:
        options: What to import, how, and where to.
        watch: Receives the progress and the files that had problems.
        on_store: Called with the path of the clip store when it is complete, even if some files could not be used.
            `watch` receives its counts after that.

    Raises:
        UsageError: Options that do not go together.
        DataError: Nothing can be imported; or, without `skip_bad`, some files could not be used. The other files
            are imported in that case.
    """
    from anon_tune.clips.keypoint_file import read_keypoints

    check_options(options)
    importing = _folder(options) if options.root is None else _data_set(options, watch)
    imported = importing(
        height=options.size[0],
        width=options.size[1],
        output=options.output,
        val_fraction=options.val_fraction,
        gray=options.gray,
        accept_damage=options.accept_damage,
        skip_bad=options.skip_bad,
        force=options.force,
        progress=watch.show,
        decode_with=_side_by_side(options.workers),
        keypoints=None if options.keypoints is None else read_keypoints(options.keypoints),
    )
    on_store(options.output)
    watch.counted()
    if imported.left_out:
        watch.left_out(options.source, imported.left_out)
    if options.keypoints is not None and imported.without_keypoints:
        watch.without_keypoints(options.keypoints, imported.without_keypoints)
    watch.damaged(imported.damaged)
    watch.end(imported.bad, imported.short)
    if imported.bad and not options.skip_bad:
        rule = f"{len(imported.bad)} of {len(imported.bad) + imported.num_imported} files could not be used"
        where = options.source if options.root is None else str(options.root)
        raise DataError(where, rule, remedy="The others are imported; repair the files or add --skip-bad")
    return imported


def _flags(names: Sequence[str]) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in names)


def _side_by_side(num_workers: int | None) -> Map:
    if os.environ.get("RAY_ADDRESS"):
        from anon_tune.driver.tasks import in_tasks

        return in_tasks(num_workers)
    from anon_tune.datasets.side_by_side import in_processes

    return in_processes(num_workers)


def _folder(options: ImportOptions) -> Callable[..., ImportResult]:
    from anon_tune.datasets import import_folder

    return partial(
        import_folder,
        folder=options.source,
        pattern=str(options.pattern),
        action=str(options.action),
        private=options.private,
        group=str(options.group),
        test_groups=options.test_groups,
        num_frames=options.num_frames or 16,
        frame_step=options.frame_step,
        num_windows=options.windows or 1,
        keep_frames=options.keep_frames,
        val_groups=options.val_groups,
    )


def _data_set(options: ImportOptions, watch: ImportWatch) -> Callable[..., ImportResult]:
    from anon_tune.datasets.readers import import_listing, read_data_set

    listing = read_data_set(
        options.source,
        Path(str(options.root)),
        options.labels,
        num_frames=options.num_frames or 16,
        split=1 if options.split is None else options.split,
        attributes=options.attributes or "vispr1",
        test_groups=options.test_groups,
        frame_step=options.frame_step,
        num_windows=options.windows or 1,
        keep_frames=options.keep_frames,
    )
    watch.begin(listing)
    return partial(import_listing, listing, partial=options.partial)
