"""Import a folder of videos into a clip store."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import av

from anon_tune.clips.keypoint_file import KeyPoints
from anon_tune.clips.keypoints import Points
from anon_tune.clips.labels import Labels
from anon_tune.clips.place import check_place
from anon_tune.clips.store import Clips, StoreWriter
from anon_tune.datasets.decode import DECODED_AS, BadFile, ClipForm, DecodedClip, decode_clip
from anon_tune.datasets.journal import FileRecord, Journal
from anon_tune.datasets.labels import Found, Splitter, label_found, match_files
from anon_tune.datasets.side_by_side import Map, one_by_one
from anon_tune.errors import DataError, UsageError
from anon_tune.video.folder_files import check_names, files_below, is_still, is_video, left_out, printable

__all__ = ["BadFile", "ImportResult", "import_folder"]


@dataclass(frozen=True, slots=True)
class ImportResult:
    """The result of an import.

    Attributes:
        clips: The clip store, opened.
        num_imported: Number of files in the store.
        bad: Files that could not be decoded, in the order of the store.
        short: Files that are too short for a clip, so that their clips repeat frames.
        damaged: Files whose damage was accepted, with a description of it.
        left_out: Phrase that counts the files that the pattern matches but that are not videos; empty if none.
        without_keypoints: Phrase that counts the files that the file of key points does not know; empty if none.
    """

    clips: Clips
    num_imported: int
    bad: tuple[BadFile, ...]
    short: tuple[str, ...]
    damaged: tuple[BadFile, ...] = ()
    left_out: str = ""
    without_keypoints: str = ""


def import_folder(
    folder: Path | str,
    pattern: str,
    action: str,
    private: Sequence[str],
    group: str,
    test_groups: Sequence[str],
    num_frames: int,
    height: int,
    width: int,
    output: Path | str,
    val_groups: Sequence[str] = (),
    val_fraction: float = 0.15,
    frame_step: int | None = None,
    gray: bool = False,
    accept_damage: bool = False,
    skip_bad: bool = False,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
    decode_with: Map = one_by_one,
    num_windows: int = 1,
    keep_frames: int | None = None,
    keypoints: KeyPoints | None = None,
) -> ImportResult:
    """Decode every video that a pattern matches, and store the clips with labels read from their paths.

    `attribute_columns` tells how labels become attributes, `split_files` and `Splitter` how files are split,
    `match_videos` which files are videos, `shown_frames` which frames are taken, and `store_files` how an interrupted
    import continues.

    Args:
        folder: Folder of the videos, searched with all folders below it.
        pattern: Regular expression, searched for in each path relative to `folder`, with slashes.
        action: Name of the pattern's group that holds the action.
        private: Names of the groups that hold private labels.
        group: Name of the group to split by, such as person or take.
        test_groups: Values of that group that form the test split.
        num_frames: Frames per clip, at least 1.
        height, width: Pixels, at least 1.
        output: Clip store to make.
        val_groups: Values of the group that form the validation split.
        val_fraction: Share of the training clips that is held out for validation if `val_groups` is empty.
        frame_step, gray, accept_damage, num_windows, keep_frames: As in `ClipForm`.
        skip_bad, force: As in `store_files`.
        progress: Called with files done and total files.
        decode_with: Where files are decoded; see `in_processes`. The store is the same, byte for byte.
        keypoints: Key points of the people in the videos; None for a store without any.

    Raises:
        UsageError: The pattern, the labels or the splits cannot be used.
        DataError: `output` exists, the pattern matches no video, or too few files can be decoded for a study. Other
            bad files raise no error: they are in the result, and an attribute that has only one value among the
            remaining clips is left out.
    """
    root = Path(folder)
    form = ClipForm(num_frames, height, width, frame_step, gray, accept_damage, num_windows, keep_frames)
    found, others = match_videos(root, pattern, action, private, group)
    splitter, attributes = label_found(found, private, test_groups, val_groups, val_fraction)
    result = store_files(root, splitter, attributes, form, output, skip_bad, force, progress, decode_with, keypoints)
    return replace(result, left_out=left_out(others))


def match_videos(
    folder: Path, pattern: str, action: str, private: Sequence[str], group: str
) -> tuple[list[Found], list[str]]:
    """Find the videos of a folder that a pattern matches, or the photographs if it matches no video.

    Returns:
        The files to import, and the other files that the pattern matches.

    Raises:
        UsageError: As in `match_files`.
        DataError: The pattern matches no video and no photograph, or a name is not UTF-8.
    """
    where = printable(folder)
    files = files_below(folder)
    matched = match_files(files, pattern, action, private, group, where)
    for is_kind in (is_video, is_still):
        if found := [one for one in matched if is_kind(one.file)]:
            check_names(folder, [one.file for one in found])
            chosen = {one.file for one in found}
            if len({one.action for one in found}) == 1:
                # Only files that are not imported have another action.
                match_files([one.file for one in found], pattern, action, private, group, where)
            return found, [one.file for one in matched if one.file not in chosen]
    rule = "the pattern matches no file with the suffix of a video"
    raise DataError(where, rule, printable(matched[0].file), "Correct --pattern, or rename the videos")


def store_files(
    root: Path,
    splitter: Splitter,
    attributes: Sequence[str],
    form: ClipForm,
    output: Path | str,
    skip_bad: bool = False,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
    decode_with: Map = one_by_one,
    keypoints: KeyPoints | None = None,
) -> ImportResult:
    """Decode labelled files and store their clips. Every import of one folder ends here.

    Frames are written as they are decoded and never held all at once. If the import is interrupted or fails, decoded
    clips stay in ``.<output>.partial``, unless the files themselves cannot be used. An import of the same files in the
    same form continues from there; others start anew.

    Args:
        root: Folder that the files' paths are relative to; on a cluster, one that every node sees.
        splitter: The labels of all files. Only files that can be decoded take part in a split.
        attributes: Names of the private attributes, in the order of the labels.
        form: Form of every clip.
        output: Clip store to make.
        skip_bad: True if the caller accepts bad files; changes only the remedy of an error.
        force: Replace `output` if it exists.
        progress, decode_with: As in `import_folder`.
        keypoints: Key points of the people in the files; None for a store without any.

    Raises:
        UsageError: Several windows of each video are asked for, and there are key points or frame truth.
        DataError: `output` exists, or files or key points cannot be used; the message says why.
    """
    labels = splitter.split()
    files = [one.file for one in labels]
    check_names(root, files)
    _check_fit(form, labels, keypoints)
    with _open_journal(root, labels, form, Path(output), force) as journal:
        with StoreWriter(output, form.shape, force, journal.frames, form.windows) as writer:
            done = journal.go_on(
                root, files, lambda at, one: writer.restore(labels[at], one.content_hash, one.kept, one.shown)
            )
            decoded = decode_with(partial(decode_clip, root.resolve(), form), files[done:])
            for at, read in enumerate(decoded, start=done):
                clip = _with_fitting_truth(labels[at], read)
                journal.append(FileRecord.of(root, files[at], clip, _added(writer, labels[at], clip)))
                if progress:
                    progress(at + 1, len(files))
            with journal.judging():
                bad, good = _told_apart(root, form, labels, journal.records, skip_bad)
                if bad:
                    writer.resplit(splits_without(splitter, labels, good))
            fps = statistics.median(one.fps for one in journal.records if not one.reason)
            points = _placed(keypoints, labels, journal)
            clips = writer.finish(tuple(attributes), fps, printable(root.resolve()), True, points)
        return _result(clips, bad, journal.records, "" if keypoints is None else keypoints.missing(files))


def _check_fit(form: ClipForm, labels: Sequence[Labels], keypoints: KeyPoints | None) -> None:
    """Refuse, before anything is decoded, key points of other files, and what goes with one clip of a video only."""
    if keypoints is not None:
        keypoints.check([one.file for one in labels])
    if form.windows is None:
        return
    if keypoints is not None:
        rule = "cannot go with --windows or --keep-frames: key points are those of one clip of a video"
        raise UsageError("--keypoints", rule, remedy="Leave one of them out")
    if any(one.truth is not None for one in labels):
        rule = "a store with several windows of each video can have no frame truth"
        remedy = "Leave --windows and --keep-frames out, or remove the column 'abnormal_frames'"
        raise UsageError("--windows", rule, remedy=remedy)


def _result(
    clips: Clips, bad: Sequence[BadFile], records: Sequence[FileRecord], without_keypoints: str
) -> ImportResult:
    short = [one.file for one in records if one.repeats]
    damaged = [BadFile(one.file, 0, one.damage) for one in records if one.damage]
    counted = clips.num_clips, tuple(bad), tuple(short), tuple(damaged)
    return ImportResult(clips, *counted, without_keypoints=without_keypoints)


def _added(writer: StoreWriter, labels: Labels, clip: DecodedClip | BadFile) -> str:
    """Add a clip to a store; return the hash of its frames, or nothing for a bad file."""
    return "" if isinstance(clip, BadFile) else writer.add(labels, clip.frames, clip.kept, clip.shown)


def _with_fitting_truth(labels: Labels, clip: DecodedClip | BadFile) -> DecodedClip | BadFile:
    """Return what was decoded, or a bad file if its frame truth is that of another file."""
    if labels.truth is None or isinstance(clip, BadFile):
        return clip
    fault = labels.truth.fault(clip.num_frames)
    return BadFile(labels.file, clip.num_frames, fault) if fault else clip


def _placed(keypoints: KeyPoints | None, labels: Sequence[Labels], journal: Journal) -> dict[str, Points] | None:
    """Return the key points of the frames that each clip shows, by the id of the clip."""
    if keypoints is None:
        return None
    done = [(one.id, one.file, record) for one, record in zip(labels, journal.records, strict=True)]
    return {at: keypoints.of(file, record.shown, record.size) for at, file, record in done if not record.reason}


def _told_apart(
    root: Path, form: ClipForm, labels: Sequence[Labels], records: Sequence[FileRecord], skip_bad: bool
) -> tuple[list[BadFile], list[Labels]]:
    """Return the bad files and the labels of the good ones, or refuse them all if the good ones make no store."""
    bad = [BadFile(one.file, one.frame, one.reason) for one in records if one.reason]
    good = [one for one, record in zip(labels, records, strict=True) if not record.reason]
    if rule := what_is_missing(good, labels):
        remedy = "Import more files" if skip_bad else "Repair the files"
        raise DataError(str(root), rule, remedy=remedy, cause=f"{bad[0].file}: {bad[0].reason}")
    _check_windows(root, form, records)
    return bad, good


def _check_windows(root: Path, form: ClipForm, records: Sequence[FileRecord]) -> None:
    if form.windows is not None and all(one.repeats for one in records if not one.reason):
        rule = f"every video is so short that its windows of {form.num_frames} frames repeat frames"
        raise DataError(str(root), rule, remedy="Choose fewer --windows, or a smaller --num-frames or --frame-step")


def splits_without(splitter: Splitter, labels: Sequence[Labels], good: Sequence[Labels]) -> dict[str, str]:
    """Return the split of each good file by its id, as if the other files in `labels` did not exist."""
    bad = {one.id for one in labels} - {one.id for one in good}
    return {one.id: one.split for one in splitter.split(bad)}


def _open_journal(root: Path, labels: Sequence[Labels], form: ClipForm, output: Path, force: bool) -> Journal:
    check_place(output, force)  # before anything is written
    files = [one.file for one in labels]
    truth = [asdict(one.truth) for one in labels if one.truth is not None]
    facts = [DECODED_AS, str(root.resolve()), asdict(form), av.__version__, av.library_versions, files, truth]
    return Journal(output, hashlib.sha256(json.dumps(facts).encode()).hexdigest())


def what_is_missing(
    good: Sequence[Labels], listed: Sequence[Labels], verb: str = "can be decoded", lost: str = "bad"
) -> str:
    """Return why the good files among those listed are too few for a study; empty if they are enough."""
    for split in ("train", "test"):
        if not any(one.split == split for one in good):
            return f"no file of the {split} split {verb}"
    if len({one.action for one in good}) < min(2, len({one.action for one in listed})):
        return f"only one action class is left without the {lost} files"
    if len({one.private for one in good}) < min(2, len({one.private for one in listed})):
        return f"every private label has only one value left without the {lost} files"
    return ""
