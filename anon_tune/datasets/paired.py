"""Import two folders of the same videos, one anonymized by another tool, into two clip stores with equal rows."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

from anon_tune.clips.labels import Labels
from anon_tune.clips.store import Clips, StoreWriter
from anon_tune.datasets.decode import BadFile, ClipForm, DecodedClip, decode_clip
from anon_tune.datasets.labels import Splitter, label_found
from anon_tune.datasets.side_by_side import Map, one_by_one
from anon_tune.datasets.video_folder import match_videos, splits_without, what_is_missing
from anon_tune.errors import DataError
from anon_tune.video.folder_files import check_names, files_below, is_still, is_video, printable

_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class ImportedPair:
    """Two clip stores whose rows, labels and splits are the same.

    Attributes:
        original: The original clips.
        anonymized: The same clips, anonymized by the tool.
        bad: Files of either folder that could not be decoded; both files of such a pair are left out.
        damaged: Files of either folder whose damage was accepted, with a description of it.
    """

    original: Clips
    anonymized: Clips
    bad: tuple[BadFile, ...]
    damaged: tuple[BadFile, ...] = ()


def import_pair(
    original: Path,
    anonymized: Path,
    pattern: str,
    action: str,
    private: Sequence[str],
    group: str,
    test_groups: Sequence[str],
    form: ClipForm,
    output: Path,
    suffix: str = "",
    val_groups: Sequence[str] = (),
    val_fraction: float = 0.15,
    skip_bad: bool = False,
    progress: Callable[[int, int], None] | None = None,
    decode_with: Map = one_by_one,
) -> ImportedPair:
    """Import two folders side by side. Labels and splits are read from the names of the originals.

    The counterpart of ``a/b.mp4`` is ``a/b<suffix>.mp4``, or else the one file ``a/b<suffix>`` with another extension.
    The same frames are taken from both files, so both must have the same number of frames and the same frame size.

    Args:
        original: Folder of the originals. Most arguments below are as in `import_folder`.
        anonymized: Folder of the videos that the tool anonymized.
        pattern: Regular expression, searched for in the paths of the originals.
        action, group: Named groups of the pattern.
        private: Named groups of the pattern.
        test_groups: Values of `group`.
        form: Form of every clip.
        output: Directory in which the stores ``original`` and ``anonymized`` are made.
        suffix: Text that the tool adds to a name before its extension.
        val_groups: Values of `group`; without them `val_fraction` is used.
        skip_bad: Leave out a pair if one of its files cannot be decoded.
        progress, decode_with: As in `import_folder`; progress is counted in pairs.

    Raises:
        DataError: A file has no counterpart, the files of a pair differ in length or size, or as in `import_folder`.
    """
    found, _ = match_videos(original, pattern, action, private, group)
    splitter, attributes = label_found(found, private, test_groups, val_groups, val_fraction)
    labels = splitter.split()
    partners = _counterparts([one.file for one in labels], original, anonymized, pattern, suffix)
    others = [replace(one, file=partners[one.file]) for one in labels]
    files = [(one.file, other.file) for one, other in zip(labels, others, strict=True)]
    pairs = decode_with(partial(_decode_pair, original.resolve(), anonymized.resolve(), form), files)
    with (
        StoreWriter(output / "original", form.shape) as before,  # entered before the second one starts
        StoreWriter(output / "anonymized", form.shape) as after,
    ):
        writer = _PairWriter((original, anonymized), (before, after))
        for done, (one, other, (raw, changed)) in enumerate(zip(labels, others, pairs, strict=True), start=1):
            writer.add(one, other, raw, changed)
            if progress:
                progress(done, len(labels))
        return writer.finish(attributes, splitter, labels, skip_bad)


class _PairWriter:
    """Writes the two stores of an import side by side.

    Args:
        roots: Folders of the originals and of the anonymized files.
        stores: The writers of both stores, already entered.
    """

    def __init__(self, roots: tuple[Path, Path], stores: tuple[StoreWriter, StoreWriter]) -> None:
        self._roots, self._stores = roots, stores
        self.bad: list[BadFile] = []
        self.damaged: list[BadFile] = []
        self.good: list[Labels] = []
        self._rates: list[float] = []

    def add(self, one: Labels, other: Labels, raw: DecodedClip | BadFile, changed: DecodedClip | BadFile) -> None:
        """Add a pair, or record which of its files cannot be decoded."""
        for root, labels, clip in zip(self._roots, (one, other), (raw, changed), strict=True):
            if isinstance(clip, BadFile):
                self.bad.append(replace(clip, file=str(root / clip.file)))
            elif clip.damage:
                self.damaged.append(BadFile(str(root / labels.file), 0, clip.damage))
        if isinstance(raw, DecodedClip) and isinstance(changed, DecodedClip):
            _check_same(self._roots[1] / other.file, raw, changed)
            for store, labels, clip in zip(self._stores, (one, other), (raw, changed), strict=True):
                store.add(labels, clip.frames)
            self.good.append(one)
            self._rates.append(raw.fps)

    def finish(
        self, columns: tuple[str, ...], splitter: Splitter, labels: Sequence[Labels], skip_bad: bool
    ) -> ImportedPair:
        """Finish both stores, if enough of the labelled pairs were decoded."""
        _check_enough(self.bad, self.good, labels, skip_bad)
        if self.bad:
            splits = splits_without(splitter, labels, self.good)
            for store in self._stores:
                store.resplit(splits)
        fps = statistics.median(self._rates)
        before, after = (
            store.finish(columns, fps, printable(root.resolve()), drop_constant=True)
            for store, root in zip(self._stores, self._roots, strict=True)
        )
        return ImportedPair(before, after, tuple(self.bad), tuple(self.damaged))


def _decode_pair(
    original: Path, anonymized: Path, form: ClipForm, files: tuple[str, str]
) -> tuple[DecodedClip | BadFile, DecodedClip | BadFile]:
    """Decode a pair. The original decides which frames are taken, because a tool may have changed the frame times."""
    raw = decode_clip(original, form, files[0])
    shown = raw.shown if isinstance(raw, DecodedClip) else None
    return raw, decode_clip(anonymized, form, files[1], shown)


def _counterparts(files: Sequence[str], original: Path, anonymized: Path, pattern: str, suffix: str) -> dict[str, str]:
    """Return the anonymized file of every original file. An error names the files that have none."""
    is_kind = is_video if is_video(files[0]) else is_still
    there = [file for file in files_below(anonymized) if is_kind(file)]
    check_names(anonymized, there)
    names, by_stem = set(there), dict[str, list[str]]()
    for name in there:
        by_stem.setdefault(_stem(name), []).append(name)
    partners: dict[str, str] = {}
    missing: list[str] = []
    for file in files:
        exact = _stem(file) + suffix + PurePosixPath(file).suffix
        candidates = [exact] if exact in names else by_stem.get(_stem(file) + suffix, [])
        if len(candidates) > 1:
            rule = f"'{file}' must have one anonymized file"
            raise DataError(str(anonymized), rule, _some(candidates), "Keep one of them")
        if candidates:
            partners[file] = candidates[0]
        else:
            missing.append(file)
    if missing:
        rule = f"{len(missing)} of {len(files)} original files have no anonymized file of the same name"
        remedy = "Add them, or give the text that the tool adds to names as --anonymized-suffix"
        raise DataError(str(anonymized), rule, _some(sorted(missing)), remedy)
    known = {_stem(file) + suffix for file in files_below(original) if is_kind(file)}
    extra = [name for name in there if _stem(name) not in known and re.search(pattern, _original_name(name, suffix))]
    if extra:
        rule = f"{len(extra)} anonymized files have no original of the same name"
        raise DataError(str(original), rule, _some(extra), "Add the originals, or remove these files")
    return partners


def _check_same(file: Path, raw: DecodedClip, changed: DecodedClip) -> None:
    if raw.num_frames != changed.num_frames:
        rule = f"must have the {raw.num_frames} frames of its original"
        raise DataError(str(file), rule, changed.num_frames, "Anonymize it again without dropping or adding frames")
    if raw.size != changed.size:
        rule = f"frames must be as large as the original's, {raw.size[0]}x{raw.size[1]}"
        remedy = "Let the tool keep the size, or resize its videos"
        raise DataError(str(file), rule, f"{changed.size[0]}x{changed.size[1]}", remedy)


def _check_enough(bad: Sequence[BadFile], good: Sequence[Labels], labels: Sequence[Labels], skip_bad: bool) -> None:
    if bad and not skip_bad:
        rule = f"cannot be decoded at frame {bad[0].frame}"
        rest = f", and {len(bad) - 1} more like it" if len(bad) > 1 else ""
        remedy = "Repair them, or leave them out with --skip-bad"
        raise DataError(bad[0].file, rule, remedy=remedy, cause=f"{bad[0].reason}{rest}")
    if rule := what_is_missing(good, labels):
        raise DataError(bad[0].file, rule, f"{len(good)} of {len(labels)} pairs", "Repair the files")


def _stem(file: str) -> str:
    return PurePosixPath(file).with_suffix("").as_posix()


def _original_name(name: str, suffix: str) -> str:
    return _stem(name).removesuffix(suffix) + PurePosixPath(name).suffix


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
