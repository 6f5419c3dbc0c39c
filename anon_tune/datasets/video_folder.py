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

from anon_tune.clips.store import Clips, Labels, StoreWriter, check_place
from anon_tune.datasets.decode import BadFile, ClipForm, decode_clip
from anon_tune.datasets.journal import FileRecord, Journal
from anon_tune.datasets.labels import Found, Splitter, label_found, match_files
from anon_tune.datasets.side_by_side import Map, one_by_one
from anon_tune.errors import DataError
from anon_tune.video.folder_files import check_names, files_below, is_still, is_video, left_out, printable

__all__ = ["BadFile", "ImportResult", "import_folder"]


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import made.

    Attributes:
        clips: The open store.
        num_imported: Files that are in it.
        bad: Files that could not be decoded, in the order of the store.
        short: Files too short for a clip, which repeats some of their frames.
        damaged: Files whose damage was accepted, and what it is.
        left_out: How many files the pattern matches that are no videos, in words; empty if there is none.
    """

    clips: Clips
    num_imported: int
    bad: tuple[BadFile, ...]
    short: tuple[str, ...]
    damaged: tuple[BadFile, ...] = ()
    left_out: str = ""


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
) -> ImportResult:
    """Decode every video that a pattern matches and store the clips with labels read off their paths.

    How labels become attributes is said at `attribute_columns`, how files are split at `split_files` and `Splitter`,
    which files are videos at `match_videos`, which frames are taken at `shown_frames`, and what an interrupted import
    leaves at `store_files`.

    Args:
        folder: Searched with all folders below it.
        pattern: Regular expression, searched for in each path relative to `folder`, with slashes.
        action: Name of the pattern's group that holds the action.
        private: Names of the groups that hold private labels.
        group: Name of the group to split by, such as person or take.
        test_groups: Values of that group that make the test split.
        num_frames: Frames per clip, at least 1.
        height: Pixels, at least 1.
        width: Pixels, at least 1.
        output: The store to make.
        val_groups: Values of the group that make the validation split.
        val_fraction: Share of the training clips held out instead where `val_groups` is empty.
        frame_step: As in `ClipForm`.
        gray: As in `ClipForm`.
        accept_damage: As in `ClipForm`.
        skip_bad: The caller does not mind bad files; changes only the remedy of an error.
        force: Replace `output` if it exists.
        progress: Called with files done and files in all.
        decode_with: Where files are decoded; see `in_processes`. The store is the same, to the byte.

    Raises:
        DataError: On bad labels or splits, an existing `output`, or if the files that can be decoded are
            too few to study. Other bad files do not raise; they are in the result, and an attribute that
            is the same in all the rest is left out.
    """
    root = Path(folder)
    form = ClipForm(num_frames, height, width, frame_step, gray, accept_damage)
    found, others = match_videos(root, pattern, action, private, group)
    splitter, attributes = label_found(found, private, test_groups, val_groups, val_fraction)
    result = store_files(root, splitter, attributes, form, output, skip_bad, force, progress, decode_with)
    return replace(result, left_out=left_out(others))


def match_videos(
    folder: Path, pattern: str, action: str, private: Sequence[str], group: str
) -> tuple[list[Found], list[str]]:
    """Find the videos of a folder that a pattern matches; photographs, if it matches no video.

    Returns:
        What is to be imported, and other files that the pattern matches.

    Raises:
        DataError: As `match_files`; or the pattern matches no video or photograph, or a name is no text.
    """
    where = printable(folder)
    files = files_below(folder)
    matched = match_files(files, pattern, action, private, group, where)
    for is_kind in (is_video, is_still):
        if found := [one for one in matched if is_kind(one.file)]:
            check_names(folder, [one.file for one in found])
            chosen = {one.file for one in found}
            if len({one.action for one in found}) == 1:
                # Other files made it look like two.
                match_files([one.file for one in found], pattern, action, private, group, where)
            return found, [one.file for one in matched if one.file not in chosen]
    rule = "the pattern matches no file that ends as videos do"
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
) -> ImportResult:
    """Decode labelled files and store them; the one way from files to a clip store.

    Frames are written as they are decoded, never held all at once. If it is interrupted, what is decoded
    stays in ``.<output>.partial``; the same files in the same form go on from there, others start anew.

    Args:
        root: Folder that the files' paths are relative to; on a cluster, one that every node sees.
        splitter: What is known of each file. Only files that can be decoded take part in a split.
        attributes: Names of the private attributes, in the order of the labels.
        form: What each video becomes.
        output: As in `import_folder`, and so are all that follow.
        skip_bad: The caller does not mind bad files.
        force: Replace `output` if it exists.
        progress: Called with files done and files in all.
        decode_with: Where files are decoded.

    Raises:
        DataError: As `import_folder`, once labels and splits are good.
    """
    labels = splitter.split()
    files = [one.file for one in labels]
    check_names(root, files)
    with _open_journal(root, files, form, Path(output), force) as journal:
        with StoreWriter(output, form.shape, force, journal.frames) as writer:
            done = journal.go_on(root, files, lambda at, record: writer.restore(labels[at], record.content_hash))
            decoded = decode_with(partial(decode_clip, root.resolve(), form), files[done:])
            for at, clip in enumerate(decoded, start=done):
                clip_hash = "" if isinstance(clip, BadFile) else writer.add(labels[at], clip.frames)
                journal.append(FileRecord.of(root, files[at], clip, clip_hash))
                if progress:
                    progress(at + 1, len(files))
            bad = [BadFile(one.file, one.frame, one.reason) for one in journal.records if one.reason]
            good = [one for one, record in zip(labels, journal.records, strict=True) if not record.reason]
            if rule := what_is_missing(good, labels):
                remedy = "Import more files" if skip_bad else "Repair the files"
                raise DataError(str(root), rule, f"{bad[0].file}: {bad[0].reason}", remedy)
            if bad:
                writer.resplit(splits_without(splitter, labels, good))
            fps = statistics.median(one.fps for one in journal.records if not one.reason)
            clips = writer.finish(tuple(attributes), fps, printable(root.resolve()), drop_constant=True)
        short = [one.file for one in journal.records if one.repeats]
        damaged = [BadFile(one.file, 0, one.damage) for one in journal.records if one.damage]
    return ImportResult(clips, clips.num_clips, tuple(bad), tuple(short), tuple(damaged))


def splits_without(splitter: Splitter, labels: Sequence[Labels], good: Sequence[Labels]) -> dict[str, str]:
    """Return the splits of the good files, by id, as if the others of those listed had never been there."""
    bad = {one.id for one in labels} - {one.id for one in good}
    return {one.id: one.split for one in splitter.split(bad)}


def _open_journal(root: Path, files: Sequence[str], form: ClipForm, output: Path, force: bool) -> Journal:
    check_place(output, force)  # before anything is made there
    facts = [str(root.resolve()), asdict(form), av.__version__, av.library_versions, list(files)]
    return Journal(output, hashlib.sha256(json.dumps(facts).encode()).hexdigest())


def what_is_missing(
    good: Sequence[Labels], listed: Sequence[Labels], verb: str = "can be decoded", lost: str = "bad"
) -> str:
    """Say why the good files of those listed are too few to study, or nothing."""
    for split in ("train", "test"):
        if not any(one.split == split for one in good):
            return f"no file of the {split} split {verb}"
    if len({one.action for one in good}) < min(2, len({one.action for one in listed})):
        return f"only one action class is left once {lost} files are set aside"
    if len({one.private for one in good}) < min(2, len({one.private for one in listed})):
        return f"every private label has only one value left once {lost} files are set aside"
    return ""
