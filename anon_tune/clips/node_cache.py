"""Copies a clip store from a URI once to each node that reads it, and from this machine to a URI."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

from anon_tune.clips.frames import map_frames
from anon_tune.clips.keypoints import map_keypoints
from anon_tune.clips.locks import locked
from anon_tune.clips.manifest import FRAMES, KEYPOINTS, MANIFEST, Manifest, read_manifest
from anon_tune.clips.persons import PERSONS
from anon_tune.errors import AnonTuneError, DataError, UnreachableError
from anon_tune.folder import open_filesystem, why

_CHUNK_BYTES = 1 << 23


def user_cache() -> Path:
    """Return the folder for files that a node can fetch or compute again: ``ANON_TUNE_CACHE``, or the user's cache."""
    if named := os.environ.get("ANON_TUNE_CACHE"):
        return Path(named).resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "anon_tune"


def fetch_store(uri: str) -> Path:
    """Return this node's copy of a clip store, and copy the store first if the node has none.

    The copy is in ``clips/<fingerprint>`` of `user_cache`. A store that has changed is therefore copied again, and a
    store with two URIs is copied once. A copy is either complete or absent: while one process of a node copies, the
    others wait, and the directory gets its name only after its size and the hash of every clip match the manifest.

    Args:
        uri: URI of a clip store, such as ``s3://bucket/clips``. pyarrow looks for credentials and region, for S3 in
            the environment and in ``~/.aws``.

    Raises:
        DataError: The URI holds no clip store or a damaged one, or the cache cannot be written.
        UnreachableError: The file system of the URI does not answer.
    """
    filesystem, path = open_filesystem(uri)
    home = user_cache() / "clips"
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=home) as scratch:
            new = Path(scratch) / "store"
            new.mkdir()
            manifest = _read_remote_manifest(filesystem, path, uri, new / MANIFEST)
            target = home / "-".join(filter(None, (manifest.fingerprint(), manifest.keypoints[:8])))
            with locked(target.with_suffix(".lock"), wait=True):
                if not (target / MANIFEST).is_file():
                    shutil.rmtree(target, ignore_errors=True)
                    _copy(filesystem, f"{path}/{FRAMES}", new / FRAMES)
                    map_frames(new / FRAMES, manifest, every=True)
                    if manifest.keypoints:
                        _copy(filesystem, f"{path}/{KEYPOINTS}", new / KEYPOINTS)
                        map_keypoints(new, manifest)
                    new.rename(target)
                _copy_masks(filesystem, path, uri, target)
    except (OSError, pa.ArrowException) as error:
        remedy = f"Check the connection, and the permissions of {home}, where copies are kept"
        raise _kind(error)(uri, "cannot be copied to this node", remedy=remedy, cause=why(error)) from None
    return target


def fetch_manifest(uri: str) -> Manifest:
    """Return the manifest of a clip store at a URI, without its frames.

    Raises:
        DataError: The URI holds no clip store or a damaged one.
        UnreachableError: The file system of the URI does not answer.
    """
    filesystem, path = open_filesystem(uri)
    try:
        with tempfile.TemporaryDirectory(prefix="anon-tune-") as scratch:
            return _read_remote_manifest(filesystem, path, uri, Path(scratch) / MANIFEST)
    except (OSError, pa.ArrowException) as error:
        remedy = "Check permissions and connection"
        raise _kind(error)(uri, "cannot be read", remedy=remedy, cause=why(error)) from None


def save_store(directory: Path, uri: str) -> None:
    """Copy a clip store to a URI. The manifest is copied last, so an incomplete copy is not taken for a store.

    Args:
        directory: The clip store.
        uri: URI of a directory that holds no clip store.

    Raises:
        DataError: The URI already holds a clip store, or cannot be written.
        UnreachableError: The file system of the URI does not answer.
    """
    filesystem, path = open_filesystem(uri)
    local = fs.LocalFileSystem()
    try:
        if filesystem.get_file_info(f"{path}/{MANIFEST}").type != fs.FileType.NotFound:
            raise DataError(uri, "already holds a clip store", remedy="Name another URI")
        filesystem.create_dir(path, recursive=True)
        others = [name for name in (PERSONS, KEYPOINTS) if (directory / name).is_file()]
        for name in (*others, FRAMES, MANIFEST):
            fs.copy_files(str(directory / name), f"{path}/{name}", local, filesystem, chunk_size=_CHUNK_BYTES)
    except (OSError, pa.ArrowException) as error:
        remedy = "Check permissions and connection"
        raise _kind(error)(uri, "cannot be written", remedy=remedy, cause=why(error)) from None


def _kind(error: Exception) -> type[AnonTuneError]:
    """Return the exception class for an error while copying.

    Errors of the operating system have a number. An error without one comes from a store that does not answer.
    """
    return DataError if getattr(error, "errno", None) else UnreachableError


def _read_remote_manifest(filesystem: fs.FileSystem, path: str, uri: str, to: Path) -> Manifest:
    with suppress(FileNotFoundError):
        _copy(filesystem, f"{path}/{MANIFEST}", to)
        return read_manifest(to)
    remedy = "Give the URI of a clip store, or copy a clip store there"
    raise DataError(uri, f"a clip store must hold '{MANIFEST}'", remedy=remedy)


def _copy_masks(filesystem: fs.FileSystem, path: str, uri: str, target: Path) -> None:
    """Copy person masks, which the manifest does not know: they may be another URI's, or have changed since."""
    far, near = filesystem.get_file_info(f"{path}/{PERSONS}"), target / PERSONS
    if far.type == fs.FileType.NotFound:
        near.unlink(missing_ok=True)
        return
    noted = target / f"{PERSONS}.origin"
    origin = hashlib.sha256(f"{uri} {far.size} {far.mtime_ns}".encode()).hexdigest()  # a URI may hold a password
    if not near.exists() or not noted.exists() or noted.read_text("utf-8") != origin:
        hidden = target / f".{PERSONS}"
        _copy(filesystem, f"{path}/{PERSONS}", hidden)
        noted.unlink(missing_ok=True)  # so that it is never that of other masks
        hidden.rename(near)
        noted.write_text(origin, "utf-8")


def _copy(filesystem: fs.FileSystem, path: str, to: Path) -> None:
    fs.copy_files(path, str(to), filesystem, fs.LocalFileSystem(), chunk_size=_CHUNK_BYTES)
