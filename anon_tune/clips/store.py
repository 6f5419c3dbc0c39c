"""Reads and writes clip stores. A clip store is a manifest and one memory-mapped array of frames.

A store is a directory with ``manifest.parquet`` and ``frames.npy``, a uint8 array of shape (N, T, H, W, 3); with
F > T frames in place of T if the store holds several windows of each video, see `anon_tune.clips.windows`. It may hold
person masks, see `anon_tune.clips.persons`, and key points in ``keypoints.npy``, see `anon_tune.clips.keypoints`. All
processes of a node map the same pages, so workers share one copy, and only the clips that are indexed are read. The
frames are a single file of any size, because rows have a fixed length and a split is a slice. To pass clips to another
process, pass `Clips.location`.

Shapes: N clips, B clips of a batch, T frames, H height, W width, C = 3 channels, A private attributes.
"""

from __future__ import annotations

import hashlib
import math
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from anon_tune.address import refuse_secret
from anon_tune.clips.clip_set import ClipSet
from anon_tune.clips.frame_truth import NORMAL
from anon_tune.clips.frames import check_shape, content_hash, map_frames, move_rows
from anon_tune.clips.keypoints import Points, add_keypoints, map_keypoints
from anon_tune.clips.labels import Labels
from anon_tune.clips.manifest import (
    FRAMES,
    MANIFEST,
    SPLITS,
    ClipEntry,
    Manifest,
    WindowForm,
    read_manifest,
    write_manifest,
)
from anon_tune.clips.node_cache import fetch_store
from anon_tune.clips.persons import map_masks
from anon_tune.clips.place import check_place, put_in_place, unwritable
from anon_tune.clips.windows import cut_windows
from anon_tune.errors import DataError, suggest
from anon_tune.folder import Folder, is_uri
from anon_tune.video.folder_files import check_path


@dataclass(frozen=True, slots=True, eq=False)
class Clips:
    """An open clip store; see `open_clips`.

    Attributes:
        location: The directory or URI that it was opened with; the same on every node.
        directory: The directory of the store, or of its copy, on this node.
        manifest: The manifest, with one entry per clip.
    """

    location: str
    directory: Path
    manifest: Manifest
    _frames: NDArray[np.uint8]
    _keypoints: Points | None = None
    _persons: NDArray[np.uint8] | None = None

    @property
    def actions(self) -> tuple[str, ...]:
        """Names of the action classes, sorted."""
        return self.manifest.actions

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the private attributes, which are binary."""
        return self.manifest.attributes

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of one clip, (T, H, W, 3)."""
        return self.manifest.shape

    @property
    def fps(self) -> float:
        """Nominal frames per second of the stored clips."""
        return self.manifest.fps

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change with all that `Manifest.fingerprint` names; person masks do not change them."""
        return self.manifest.fingerprint()

    @property
    def num_clips(self) -> int:
        """Number of clips in all splits together."""
        return len(self.manifest.entries)

    def split(self, name: str) -> ClipSet:
        """Return the clips of ``train``, ``val`` or ``test``.

        Raises:
            DataError: No split has this name, or the split has no clips.
        """
        if name not in SPLITS:
            raise DataError(str(self.directory), f"unknown split '{name}'", remedy=suggest(name, SPLITS))
        rows = self.manifest.rows(name)
        if not rows:
            remedy = "Import the clips again with such a split"
            raise DataError(str(self.directory), f"split '{name}' has no clips", remedy=remedy)
        entries = [self.manifest.entries[row] for row in rows]
        index = {action: at for at, action in enumerate(self.actions)}
        frames, windows = cut_windows(self._frames[rows.start : rows.stop], self.manifest, rows)
        return ClipSet(
            frames=frames,
            actions=np.array([index[e.action] for e in entries], dtype=np.int64),
            private=np.array([e.private for e in entries], dtype=np.uint8).reshape(len(entries), -1),
            groups=tuple(e.group for e in entries),
            ids=tuple(e.id for e in entries),
            categories=self.manifest.categories(),
            windows=windows,
            frame_truth=self.manifest.frame_truth(rows),
            normal=index.get(NORMAL, -1),
            keypoints=None if self._keypoints is None else self._keypoints[rows.start : rows.stop],
            persons=None if self._persons is None else self._persons[rows.start : rows.stop],
        )

    def __reduce__(self) -> Any:
        # Pickling a memory map would copy every frame.
        return open_clips, (self.location,)


def open_clips(location: Path | str) -> Clips:
    """Open a clip store for reading.

    Args:
        location: A directory that `import_folder` or `make_avatars` wrote, or its URI on a file system that pyarrow
            knows (``s3://``, ``gs://``). A store at a URI is copied once to each node; see `fetch_store`.

    Raises:
        DataError: A file is missing or damaged, frames and manifest do not belong together, or the path is not UTF-8.
        UsageError: The URI carries a key, or pyarrow cannot open it.
        UnreachableError: The file system of the URI does not answer.
    """
    refuse_secret("--clips", str(location))
    if is_uri(location) and (far := Folder.at(location)).is_remote:
        return replace(open_clips(fetch_store(far.location)), location=far.location)
    directory = Folder.at(location).path if is_uri(location) else Path(location)
    check_path(directory)
    for name in (MANIFEST, FRAMES):
        if not (directory / name).is_file():
            remedy = "Give the directory of a clip store, or import one"
            raise DataError(str(directory), f"a clip store must hold '{name}'", remedy=remedy)
    manifest = read_manifest(directory / MANIFEST)
    frames = map_frames(directory / FRAMES, manifest)
    masks = map_masks(directory, frames.shape[:4])
    return Clips(str(directory), directory, manifest, frames, map_keypoints(directory, manifest), masks)


class StoreWriter:
    """Writes a clip store clip by clip, in a hidden directory that is renamed when the store is complete.

    Used as a context manager. If the block raises, what was written is removed, unless the caller gave `hidden`.

    Args:
        directory: The clip store to create.
        shape: Shape of one clip, (T, H, W, 3).
        force: Replace a clip store that exists. Nothing but a clip store is ever replaced.
        hidden: A directory to write in, which may hold frames of an interrupted writer; see `restore`. None for a
            new directory. Further files of the store may be written there before `finish`.
        windows: How several windows of each video are stored; None if clips are all that is stored.

    Raises:
        DataError: The directory cannot be written, it exists and `force` is False, or it exists and is no clip store.
        UsageError: A clip of this shape is too large.
    """

    def __init__(
        self,
        directory: Path | str,
        shape: tuple[int, int, int, int],
        force: bool = False,
        hidden: Path | None = None,
        windows: WindowForm | None = None,
    ) -> None:
        self.directory = Path(directory)
        self._force = force
        check_place(self.directory, force)
        self._clip_shape, self._windows = shape, windows
        self._shape = shape if windows is None else (windows.stored_frames, *shape[1:])
        check_shape(self._shape)
        self._entries: list[ClipEntry] = []
        self._keeps = hidden is not None
        self.hidden = hidden or self.directory.with_name(f".{self.directory.name}.{uuid.uuid4().hex[:8]}")
        try:
            self.hidden.mkdir(parents=True, exist_ok=self._keeps)
        except OSError as error:
            raise unwritable(self.directory, error) from None
        path = self.hidden / FRAMES
        self._file = open(path, "r+b" if path.exists() else "w+b")  # noqa: SIM115  closed by __exit__
        self._write_header()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()
        if not self._keeps:
            shutil.rmtree(self.hidden, ignore_errors=True)

    def __len__(self) -> int:
        return len(self._entries)

    def _write_header(self) -> None:
        # numpy pads the header, so it keeps its length when the number of clips grows.
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(self), *self._shape)}
        self._file.seek(0)
        npy.write_array_header_1_0(self._file, header)
        self._header_bytes = self._file.tell()

    def _to_next_row(self) -> None:
        self._file.seek(self._header_bytes + len(self) * math.prod(self._shape))

    def add(
        self, labels: Labels, frames: NDArray[np.uint8], kept: tuple[int, int] = (0, 0), shown: Sequence[int] = ()
    ) -> str:
        """Append one clip. The clips of a split must follow each other.

        Args:
            labels: The labels of the clip.
            frames: (T, H, W, 3) uint8; (F, H, W, 3) if the store holds several windows.
            kept: `begin` and `end` of its entry, if the store holds several windows.
            shown: Indices of the frames in the file, for the truth; empty for 0 to T - 1.

        Returns:
            The content hash of the clip, whose frames are written when the call returns.

        Raises:
            ValueError: The frames have another shape or type.
        """
        if frames.shape != self._shape or frames.dtype != np.uint8:
            raise ValueError(f"frames must be uint8 of shape {self._shape}, got {frames.dtype} {frames.shape}")
        self._to_next_row()
        self._file.write(np.ascontiguousarray(frames).data)
        self._file.flush()
        return self._enter(labels, content_hash(frames), kept, shown)

    def restore(self, labels: Labels, expected_hash: str, kept: tuple[int, int], shown: Sequence[int] = ()) -> bool:
        """Append a clip whose frames an earlier writer left in the next row; return False if they are not there."""
        self._to_next_row()
        frames = self._file.read(math.prod(self._shape))
        if hashlib.sha256(frames).hexdigest() != expected_hash:
            return False
        self._enter(labels, expected_hash, kept, shown)
        return True

    def _enter(self, labels: Labels, clip_hash: str, kept: tuple[int, int], shown: Sequence[int]) -> str:
        fields = {name: getattr(labels, name) for name in Labels.__slots__ if name != "truth"}
        truth = None if labels.truth is None else labels.truth.of(shown or range(self._shape[0]))
        self._entries.append(ClipEntry(**fields, content_hash=clip_hash, begin=kept[0], end=kept[1], frame_truth=truth))
        return clip_hash

    def resplit(self, splits: Mapping[str, str]) -> None:
        """Give clips other splits, and move their frames so that those of a split follow each other by id.

        Args:
            splits: The split of every clip, by its id.
        """
        entries = [replace(entry, split=splits[entry.id]) for entry in self._entries]
        order = sorted(range(len(entries)), key=lambda at: (SPLITS.index(entries[at].split), entries[at].id))
        self._file.flush()
        move_rows(self._file, order, self._header_bytes, math.prod(self._shape))
        self._entries = [entries[at] for at in order]

    def finish(
        self,
        attributes: Sequence[str],
        fps: float,
        source: str,
        drop_constant: bool = False,
        keypoints: Mapping[str, Points] | None = None,
    ) -> Clips:
        """Complete the store, give the directory its name and open it.

        Args:
            attributes: Names of the private attributes, in the order of the labels.
            fps: Nominal frames per second.
            source: Where the clips came from, in words for a reader.
            drop_constant: Leave out attributes that are the same for every clip.
            keypoints: Key points (T,P,17,3) of clips by id; None for a store without any.

        Raises:
            DataError: The clips break a rule of the manifest, or the directory exists by now.
        """
        entries = tuple(self._entries)
        if drop_constant:
            kept = [at for at in range(len(attributes)) if len({entry.private[at] for entry in entries}) > 1]
            attributes = [attributes[at] for at in kept]
            entries = tuple(replace(entry, private=tuple(entry.private[at] for at in kept)) for entry in entries)
        manifest = Manifest(entries, tuple(attributes), self._clip_shape, fps, source, self._windows)
        manifest.check(str(self.directory))
        manifest = manifest if keypoints is None else add_keypoints(self.hidden, manifest, keypoints)
        self._to_next_row()
        self._file.truncate()
        self._write_header()
        self._file.close()
        write_manifest(self.hidden / MANIFEST, manifest)
        check_place(self.directory, self._force)  # checked again, because writing the clips may have taken hours
        put_in_place(self.hidden, self.directory)
        return open_clips(self.directory)
