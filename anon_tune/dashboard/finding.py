"""Finds the studies below the folders and URIs that the dashboard was given."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from anon_tune.errors import AnonTuneError
from anon_tune.folder import Folder, Location, why
from anon_tune.study_directory import StudyDirectory

_DEEPEST = 6
_DEEPEST_REMOTE = 3


@dataclass(frozen=True, slots=True)
class FoundStudies:
    """The studies below a folder.

    Attributes:
        studies: The study directories by key. A key is a short text for addresses and tells nothing about the place.
        problem: Why the folder cannot be looked into, in words; empty if it can.
    """

    studies: dict[str, StudyDirectory]
    problem: str = ""


def find_studies(root: Location) -> FoundStudies:
    """Return every study at or below a folder, in order. Nothing inside a study is looked at."""
    studies: dict[str, StudyDirectory] = {}
    try:
        for study in _below(Folder.at(root)):
            studies.setdefault(key_of(study), study)
    except AnonTuneError as error:  # for example a store that is away
        return FoundStudies(studies, str(error))
    except OSError as error:
        return FoundStudies(studies, f"{root}: cannot be read: {why(error)}.")
    return FoundStudies(studies)


def key_of(study: StudyDirectory) -> str:
    """Return the key of a study in addresses."""
    return sha256(str(study).encode(errors="surrogateescape")).hexdigest()[:10]


def _below(root: Folder) -> Iterator[StudyDirectory]:
    if root.is_remote:
        yield from _below_remote(root, _DEEPEST_REMOTE)
    elif not root.path.is_dir():
        raise FileNotFoundError(2, os.strerror(2), str(root))
    else:
        yield from _below_local(root.path, _DEEPEST)


def _below_local(folder: Path, deepest: int) -> Iterator[StudyDirectory]:
    study = StudyDirectory.at(folder)
    if study.frozen.exists():
        yield study
    elif deepest:
        try:
            inner = sorted(entry.path for entry in os.scandir(folder) if _is_looked_into(entry))
        except OSError:  # a folder that may not be read, or was deleted meanwhile, hides no other
            return
        for path in inner:
            yield from _below_local(Path(path), deepest - 1)


def _is_looked_into(entry: os.DirEntry[str]) -> bool:
    return not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)


def _below_remote(folder: Folder, deepest: int) -> Iterator[StudyDirectory]:
    study = StudyDirectory(folder)
    if study.frozen.exists():
        yield study
    elif deepest:
        for name in sorted(folder.folders()):
            if not name.startswith("."):
                yield from _below_remote(folder / name, deepest - 1)
