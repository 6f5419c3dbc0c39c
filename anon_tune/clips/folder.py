"""Import a folder of videos into a clip store."""

from __future__ import annotations

import os
import statistics
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from anon_tune.clips.decode import BadFile, DecodedClip, decode_clip
from anon_tune.clips.labels import attribute_columns, label_files, match_files, split_files
from anon_tune.clips.store import Clips, Labels, StoreWriter
from anon_tune.errors import ClipsError

__all__ = ["BadFile", "ImportResult", "import_folder"]


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import made.

    Attributes:
        clips: The open store.
        num_imported: Files that are in it.
        bad: Files that could not be decoded, in the order of the store.
        short: Files of fewer frames than a clip, which repeats some.
    """

    clips: Clips
    num_imported: int
    bad: tuple[BadFile, ...]
    short: tuple[str, ...]


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
    skip_bad: bool = False,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ImportResult:
    """Decode every file that a pattern matches and store the clips with labels read off their paths.

    Frames are written as they are decoded, never held all at once. How labels become attributes is said
    at `attribute_columns`, how files are split at `split_files`, which frames are taken at `decode_clip`.

    Args:
        folder: Searched with all folders below it.
        pattern: Regular expression, searched for in each path relative to `folder`, with slashes.
        action: Name of the pattern's group that holds the action.
        private: Names of the groups that hold private labels.
        group: Name of the group to split by, such as person or take.
        test_groups: Values of that group that make the test split.
        num_frames: Frames a clip, at least 1.
        height: Pixels, at least 1.
        width: Pixels, at least 1.
        output: The store to make.
        val_groups: Values of the group that make the validation split.
        val_fraction: Share of the training clips held out instead where `val_groups` is empty.
        skip_bad: The caller does not mind bad files; changes only the remedy of an error.
        force: Replace `output` if it exists.
        progress: Called with files done and files in all.

    Raises:
        ClipsError: On bad labels or splits, an existing `output`, or if the files that can be decoded are
            too few to study. Other bad files do not raise; they are in the result, and an attribute that
            is the same in all the rest is left out.
    """
    root = Path(folder)
    found = match_files(files_below(root), pattern, action, private, group, str(root))
    columns = attribute_columns(found, private)
    labels = label_files(found, split_files(found, test_groups, val_groups, val_fraction), columns)
    return store_files(root, labels, tuple(columns), num_frames, height, width, output, skip_bad, force, progress)


def store_files(
    root: Path,
    labels: Sequence[Labels],
    attributes: Sequence[str],
    num_frames: int,
    height: int,
    width: int,
    output: Path | str,
    skip_bad: bool = False,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ImportResult:
    """Decode labelled files and store them; the one way from files to a clip store.

    Args:
        root: Folder that the files' paths are relative to.
        labels: What is known of each file, ordered by split.
        attributes: Names of the private attributes, in the order of the labels.
        num_frames: As in `import_folder`, and so are all that follow.
        height: Pixels, at least 1.
        width: Pixels, at least 1.
        output: The store to make.
        skip_bad: The caller does not mind bad files.
        force: Replace `output` if it exists.
        progress: Called with files done and files in all.

    Raises:
        ClipsError: As `import_folder`, once labels and splits are good.
    """
    for name, value in (("--num-frames", num_frames), ("--size", height), ("--size", width)):
        if value < 1:
            raise ClipsError(name, "must be at least 1", value, "Choose a larger number")
    bad: list[BadFile] = []
    short: list[str] = []
    good: list[Labels] = []
    rates: list[float] = []
    with StoreWriter(output, (num_frames, height, width, 3), force) as writer:
        for done, (one, clip) in enumerate(decode_all(root, labels, num_frames, height, width), start=1):
            if isinstance(clip, BadFile):
                bad.append(clip)
            else:
                writer.add(one, clip.frames)
                good.append(one)
                rates.append(clip.fps)
                if clip.num_frames < num_frames:
                    short.append(one.file)
            if progress:
                progress(done, len(labels))
        if rule := what_is_missing(good, labels):
            remedy = "Import more files" if skip_bad else "Mend the files"
            raise ClipsError(str(root), rule, f"{bad[0].file}: {bad[0].reason}", remedy)
        clips = writer.finish(tuple(attributes), statistics.median(rates), str(root.resolve()), drop_constant=True)
    return ImportResult(clips, clips.num_clips, tuple(bad), tuple(short))


def files_below(folder: Path) -> list[str]:
    """Return every file of a folder and of those below it, relative to it, with slashes, sorted.

    Raises:
        ClipsError: If it is no folder.
    """
    if not folder.is_dir():
        raise ClipsError(str(folder), "must be a folder of videos", remedy="Name another")
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


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


def decode_all(
    root: Path, labels: Sequence[Labels], num_frames: int, height: int, width: int
) -> Iterator[tuple[Labels, DecodedClip | BadFile]]:
    """Decode files side by side and yield them in order, with few clips waiting at any time."""
    num_threads = min(4, os.cpu_count() or 1)
    waiting: deque[tuple[Labels, Future[DecodedClip | BadFile]]] = deque()
    with ThreadPoolExecutor(num_threads) as pool:
        for one in labels:
            waiting.append((one, pool.submit(decode_clip, root, one.file, num_frames, height, width)))
            if len(waiting) > 2 * num_threads:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()
