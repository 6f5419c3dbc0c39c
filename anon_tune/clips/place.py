"""Checks that a clip store can be created at a directory."""

from __future__ import annotations

from pathlib import Path

from anon_tune.clips.manifest import FRAMES, KEYPOINTS, MANIFEST
from anon_tune.clips.persons import PERSONS
from anon_tune.errors import DataError
from anon_tune.video.folder_files import check_path


def check_place(directory: Path, force: bool) -> None:
    """Check that a clip store can be created at a directory.

    Raises:
        DataError: The directory exists and `force` is False, it exists and is no clip store, or its path is not UTF-8.
    """
    check_path(directory)
    try:
        directory.exists()
    except OSError as error:
        raise unwritable(directory, error) from None
    if directory.exists() and not force:
        raise DataError(str(directory), "already exists", remedy="Name another directory or add --force")
    if directory.exists() and not _is_store(directory):
        rule = "exists and is no clip store, so it is not replaced"
        raise DataError(str(directory), rule, remedy="Name another directory")


def unwritable(directory: Path, error: OSError) -> DataError:
    """Return the error of a directory that cannot be written."""
    return DataError(str(directory), "cannot be written", remedy="Name another directory", cause=error.strerror or "")


def _is_store(directory: Path) -> bool:
    files = {MANIFEST, FRAMES, KEYPOINTS, PERSONS, f".{PERSONS}"}  # the last is left by a command that was killed
    return directory.is_dir() and {entry.name for entry in directory.iterdir()} <= files
