"""The manifest of a clip store: a Parquet file with a row per clip, and metadata of the whole store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from anon_tune.clips.frame_truth import NORMAL
from anon_tune.errors import DataError
from anon_tune.folder import why

SPLITS = ("train", "val", "test")
VERSION = 1
_WITH_WINDOWS = 2  # version of a store that holds more frames of a video than one clip shows
# The files of a store; few stores have key points.
MANIFEST = "manifest.parquet"
FRAMES = "frames.npy"
KEYPOINTS = "keypoints.npy"
_PREFIX = "private."
_PLAIN = {
    "id": pa.string(),
    "file": pa.string(),
    "split": pa.string(),
    "group": pa.string(),
    "action": pa.string(),
    "content_hash": pa.string(),
    "row": pa.int64(),
}
_TRUTH = "frame_truth"  # a column that only some stores have; null where the truth of a clip is not known
_KEPT = ("begin", "end")
_FORM = ("stored_frames", "stride")
_REMEDY = "Import or make the clips again"


@dataclass(frozen=True, slots=True)
class ClipEntry:
    """One clip of the manifest. Its index in `Manifest.entries` is its row in the frames.

    Attributes:
        id: A name that is unique in the store.
        file: Path of the video relative to the imported folder; empty for generated clips.
        split: ``train``, ``val`` or ``test``.
        group: Name of the person or take that the clip belongs to. Clips were split by groups, so a group of the test
            split is in no other split.
        action: Name of the action class.
        private: One truth value per private attribute, in the order of `Manifest.attributes`.
        content_hash: SHA-256 of the stored frames.
        begin: First stored frame that windows may show, see `WindowForm`; 0 if the store has no windows.
        end: One past the last such frame; 0 if the store has no windows.
        frame_truth: For each of the T frames, whether it is abnormal; None if that is not known.
    """

    id: str
    file: str
    split: str
    group: str
    action: str
    private: tuple[bool, ...]
    content_hash: str
    begin: int = 0
    end: int = 0
    frame_truth: tuple[bool, ...] | None = None


@dataclass(frozen=True, slots=True)
class WindowForm:
    """How a store holds several windows of each video.

    Attributes:
        stored_frames: F, frames that are stored of each video, at least those of a clip. A shorter video repeats its
            first and its last frame; `ClipEntry.begin` and `end` tell which frames are its own.
        stride: Frames from the beginning of a window to the next: those of a clip if windows are stored one after
            another, 1 if a window may begin at any frame.
    """

    stored_frames: int
    stride: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """All clips of a store.

    Attributes:
        entries: One entry per row. The rows of a split are contiguous, so a split is a view of the frames.
        attributes: Names of the private attributes, which are binary.
        shape: Shape of one clip, (T, H, W, 3).
        fps: Nominal frames per second of the stored clips.
        source: Where the clips came from, in words for a reader.
        windows: How several windows of each video are stored; None if a clip is all that is stored.
        keypoints: Hash of the key points of the clips; empty if the store has none.
    """

    entries: tuple[ClipEntry, ...]
    attributes: tuple[str, ...]
    shape: tuple[int, int, int, int]
    fps: float
    source: str
    windows: WindowForm | None = None
    keypoints: str = ""

    @property
    def stored_shape(self) -> tuple[int, int, int, int]:
        """Shape of what is stored of one video, (F, H, W, 3)."""
        return self.shape if self.windows is None else (self.windows.stored_frames, *self.shape[1:])

    @property
    def actions(self) -> tuple[str, ...]:
        """Names of the action classes, sorted."""
        return tuple(sorted({entry.action for entry in self.entries}))

    def categories(self) -> tuple[tuple[int, ...], ...]:
        """Return the attributes, by column, that are the values of one category.

        Their names are ``NAME=VALUE`` with the same ``NAME``, and every clip has exactly one of these values.
        """
        columns: dict[str, list[int]] = {}
        for at, attribute in enumerate(self.attributes):
            name, equals, _ = attribute.partition("=")
            if equals:
                columns.setdefault(name, []).append(at)
        several = (tuple(found) for found in columns.values() if len(found) > 1)
        return tuple(found for found in several if all(sum(e.private[at] for at in found) == 1 for e in self.entries))

    @property
    def _has_truth(self) -> bool:
        return any(entry.frame_truth is not None for entry in self.entries)

    def rows(self, split: str) -> range:
        """Return the contiguous rows of one split, possibly none."""
        rows = [row for row, entry in enumerate(self.entries) if entry.split == split]
        return range(rows[0], rows[-1] + 1) if rows else range(0)

    def frame_truth(self, rows: range) -> NDArray[np.uint8] | None:
        """Return the frame truth (N,T) of some clips; None if it is not known of all of them."""
        known = [truth for row in rows if (truth := self.entries[row].frame_truth) is not None]
        return np.array(known, dtype=np.uint8) if len(known) == len(rows) else None

    def fingerprint(self) -> str:
        """Return 16 hex digits that change with any frame, label, split, window or frame truth, but not with `source`.

        They change with key points that came with files. Those of generated clips follow from what draws the frames.
        """
        clips = [[e.content_hash, e.split, e.group, e.action, e.private] for e in self.entries]
        facts: list[Any] = [VERSION, self.shape, self.attributes, clips]
        if self.windows is not None:
            kept = [[e.begin, e.end] for e in self.entries]
            facts = [_WITH_WINDOWS, *facts[1:], self.windows.stored_frames, self.windows.stride, kept]
        if self._has_truth:
            facts.append([e.frame_truth for e in self.entries])
        if self.keypoints and any(e.file for e in self.entries):
            facts.append(self.keypoints)
        text = json.dumps(facts, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def check(self, where: str) -> None:
        """Check the rules of a store.

        Args:
            where: The file or directory, for error messages.

        Raises:
            DataError: There are no clips, an id is repeated, a split is unknown or not contiguous, a group is in
                the test split and in another split, a window reaches beyond what is stored, or frame truth does not
                fit its clip.
        """
        entries = self.entries
        if not entries:
            raise DataError(where, "holds no clips", remedy=_REMEDY)
        if len({e.id for e in entries}) < len(entries):
            raise DataError(where, "clip ids must be unique", remedy=_REMEDY)
        unknown = sorted({e.split for e in entries} - set(SPLITS))
        if unknown:
            raise DataError(where, f"a split must be one of {', '.join(SPLITS)}", unknown[0], _REMEDY)
        for split in SPLITS:
            if any(entries[row].split != split for row in self.rows(split)):
                raise DataError(where, f"the rows of split '{split}' must be contiguous", remedy=_REMEDY)
        groups = {split: {e.group for e in entries if e.split == split} for split in SPLITS}
        shared = sorted(groups["test"] & (groups["train"] | groups["val"]))
        if shared:
            raise DataError(where, "no group may be in test and in another split", shared[0], _REMEDY)
        if self._has_truth:
            self._check_truth(where)
        if self.windows is not None:
            self._check_windows(self.windows, where)

    def _check_truth(self, where: str) -> None:
        if self.windows is not None:
            rule = "a store with several windows of each video can have no frame truth"
            raise DataError(where, rule, remedy="Leave --windows and --keep-frames out")
        for entry in self.entries:
            if entry.frame_truth is not None and len(entry.frame_truth) != self.shape[0]:
                rule = f"the frame truth of a clip must have {self.shape[0]} values, one for each frame"
                raise DataError(where, rule, f"{len(entry.frame_truth)} for '{entry.id}'", _REMEDY)
            if entry.action == NORMAL and any(entry.frame_truth or ()):
                raise DataError(where, f"no frame of a clip of action '{NORMAL}' may be abnormal", entry.id, _REMEDY)

    def _check_windows(self, windows: WindowForm, where: str) -> None:
        num_frames, stored = self.shape[0], windows.stored_frames
        if windows.stride not in (1, num_frames):
            raise DataError(where, f"the stride of windows must be 1 or {num_frames}", windows.stride, _REMEDY)
        for e in self.entries:
            if not 0 <= e.begin <= e.end - num_frames <= stored - num_frames:
                rule = f"a clip must hold at least one window of {num_frames} of the {stored} stored frames"
                raise DataError(where, rule, f"frames {e.begin} to {e.end} of '{e.id}'", _REMEDY)


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest as one Parquet file."""
    entries = manifest.entries
    columns: dict[str, Any] = {name: [getattr(e, name) for e in entries] for name in _PLAIN if name != "row"}
    columns["row"] = range(len(entries))
    arrays = {name: pa.array(columns[name], kind) for name, kind in _PLAIN.items()}
    for name in _KEPT if manifest.windows else ():
        arrays[name] = pa.array([getattr(e, name) for e in entries], pa.int64())
    for at, name in enumerate(manifest.attributes):
        arrays[_PREFIX + name] = pa.array([e.private[at] for e in entries], pa.bool_())
    if manifest._has_truth:
        arrays[_TRUTH] = pa.array([e.frame_truth for e in entries], pa.list_(pa.bool_()))
    facts = {"version": VERSION, "shape": manifest.shape, "fps": manifest.fps, "source": manifest.source}
    if manifest.windows:
        facts |= {"version": _WITH_WINDOWS, "windows": asdict(manifest.windows)}
    facts |= {"keypoints": manifest.keypoints} if manifest.keypoints else {}
    pq.write_table(pa.table(arrays).replace_schema_metadata({"anon_tune": json.dumps(facts)}), path)


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest.

    Raises:
        DataError: The file is no manifest of this version, lacks a column, or breaks a rule of the store.
    """
    where = str(path)
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(where, "not a Parquet file", remedy=_REMEDY, cause=why(error)) from None
    facts = _facts(table, where)
    if facts.get("version") not in (VERSION, _WITH_WINDOWS):
        rule = f"the manifest must be of version {VERSION} or {_WITH_WINDOWS}"
        raise DataError(where, rule, str(facts.get("version")), _REMEDY)
    has_windows = facts["version"] == _WITH_WINDOWS
    attributes = tuple(n.removeprefix(_PREFIX) for n in table.column_names if n.startswith(_PREFIX))
    kept = dict.fromkeys(_KEPT if has_windows else (), pa.int64())
    expected = _PLAIN | kept | {_PREFIX + name: pa.bool_() for name in attributes}
    for name, kind in expected.items():
        if name not in table.column_names or table.schema.field(name).type != kind:
            raise DataError(where, f"needs a column '{name}' of type {kind}", remedy=_REMEDY)
        if table.column(name).null_count:
            raise DataError(where, f"the column '{name}' must have no empty values", remedy=_REMEDY)
    if _TRUTH in table.column_names and table.schema.field(_TRUTH).type != pa.list_(pa.bool_()):
        raise DataError(where, f"the column '{_TRUTH}' must be a list of truth values", remedy=_REMEDY)
    try:
        num_frames, height, width, channels = map(int, facts["shape"])
        fps, source = float(facts["fps"]), str(facts["source"])
        windows = WindowForm(**{name: int(facts["windows"][name]) for name in _FORM}) if has_windows else None
        keypoints = str(facts.get("keypoints", ""))
    except (KeyError, TypeError, ValueError) as error:
        cause = f"{type(error).__name__} {error}"
        raise DataError(where, "the manifest is damaged", remedy=_REMEDY, cause=cause) from None
    entries = _entries(table.sort_by("row").to_pylist(), [*kept], attributes, where)
    shape = (num_frames, height, width, channels)
    manifest = Manifest(entries, attributes, shape, fps, source, windows, keypoints)
    manifest.check(where)
    return manifest


def _facts(table: pa.Table, where: str) -> dict[str, Any]:
    try:
        facts = json.loads((table.schema.metadata or {}).get(b"anon_tune", b"{}"))
    except ValueError as error:
        raise DataError(where, "the manifest is damaged", remedy=_REMEDY, cause=why(error)) from None
    return facts if isinstance(facts, dict) else {}


def _entries(
    rows: Sequence[dict[str, Any]], kept: Sequence[str], attributes: Sequence[str], where: str
) -> tuple[ClipEntry, ...]:
    if [row["row"] for row in rows] != list(range(len(rows))):
        raise DataError(where, f"the column 'row' must number the clips from 0 to {len(rows) - 1}", remedy=_REMEDY)
    names = [*(name for name in _PLAIN if name != "row"), *kept]
    return tuple(
        ClipEntry(
            **{name: row[name] for name in names},
            private=tuple(row[_PREFIX + name] for name in attributes),
            frame_truth=None if row.get(_TRUTH) is None else tuple(map(bool, row[_TRUTH])),
        )
        for row in rows
    )
