"""Checks that a clip store can be created at a directory, and puts it there."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from anon_tune.clips.manifest import FRAMES, KEYPOINTS, MANIFEST
from anon_tune.clips.persons import PERSONS
from anon_tune.errors import DataError
from anon_tune.video.folder_files import check_path


def check_place(directory: Path, force: bool) -> None:
    """Check that a clip store can be created at a directory.

    Raises:
        DataError: The directory exists and `force` is False, it exists and is no clip store, it is a link, or its path
            is not UTF-8 or does not end in a name.
    """
    check_path(directory)
    if directory.name in ("", ".."):  # pathlib makes "" of a dot at the end
        remedy = "Name a directory that can be created, such as clips/mine"
        raise DataError(str(directory), "must end in the name of a directory", remedy=remedy)
    try:
        directory.exists()
    except OSError as error:
        raise unwritable(directory, error) from None
    if directory.exists() and not force:
        raise DataError(str(directory), "already exists", remedy="Name another directory or add --force")
    if directory.is_symlink():
        raise DataError(str(directory), "is a link, which is not replaced", remedy="Name the directory it leads to")
    if directory.exists() and not _is_store(directory):
        rule = "exists and is no clip store, so it is not replaced"
        raise DataError(str(directory), rule, remedy="Name another directory")


def put_in_place(store: Path, directory: Path) -> None:
    """Give a complete store its name. A store that has the name is removed only then, so that one of them is kept."""
    if not directory.is_dir():
        store.rename(directory)
        return
    old = directory.with_name(f".{directory.name}.{uuid.uuid4().hex[:4]}")
    directory.rename(old)
    try:
        store.rename(directory)
    except BaseException:
        old.rename(directory)
        raise
    shutil.rmtree(old)


def unwritable(directory: Path, error: OSError) -> DataError:
    """Return the error of a directory that cannot be written."""
    return DataError(str(directory), "cannot be written", remedy="Name another directory", cause=error.strerror or "")


def _is_store(directory: Path) -> bool:
    files = {MANIFEST, FRAMES, KEYPOINTS, PERSONS, f".{PERSONS}"}  # the last is left by a command that was killed
    return directory.is_dir() and {entry.name for entry in directory.iterdir()} <= files
