"""A file of a folder: read, or written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from anon_tune.errors import AnonTuneError, DataError, UnreachableError
from anon_tune.folder.filesystem import split_query
from anon_tune.folder.folder import Folder, Location


class File:
    """A file of a folder, wherever that is; it need not exist."""

    def __init__(self, folder: Folder, name: str) -> None:
        self.folder, self.name = folder, name

    @staticmethod
    def at(location: Path | str) -> File:
        """Return the file at a path or a URI."""
        path, query = split_query(str(location))
        parent, _, name = path.rpartition("/")
        return File(Folder.at(f"{parent or ('/' if path.startswith('/') else '.')}{query}"), name)

    def __str__(self) -> str:
        return f"{self.folder}/{self.name}"

    @property
    def location(self) -> str:
        """Its path or URI, by which `at` finds it again."""
        return (self.folder / self.name).location

    @property
    def path(self) -> Path:
        """Where it is on this machine; as `Folder.path`."""
        return self.folder.path / self.name

    def exists(self) -> bool:
        """True if it is there."""
        return self.folder.has(self.name)

    def read(self) -> bytes:
        """Return its content."""
        return self.folder.read(self.name)

    def write(self, content: bytes) -> None:
        """Write it; as `Folder.write`."""
        self.folder.write(self.name, content)

    def remove(self) -> None:
        """Remove it if it is there."""
        self.folder.remove(self.name)

    def reading(self) -> AbstractContextManager[Path]:
        """Give the block a path on this machine at which it can read the file."""
        return self.folder.reading(self.name)

    def writing(self) -> AbstractContextManager[Path]:
        """Give the block a path on this machine to write at; its end makes that the file, unless it raised."""
        return self.folder.writing(self.name)


@contextmanager
def reading_file(location: Path | str) -> Iterator[Path]:
    """Give the block a path on this machine at which it can read the file at a path or a URI."""
    file = File.at(location)
    if file.folder.is_remote and not file.exists():
        raise DataError(str(location), "no such file", remedy="Check the address")
    with file.reading() as here:
        yield here


def writing_file(location: Path | str) -> AbstractContextManager[Path]:
    """Give the block a path on this machine to write at; the file is there whole when it ends, or not at all."""
    return File.at(location).writing()


def kind_of(error: OSError, location: Location, otherwise: type[AnonTuneError]) -> type[AnonTuneError]:
    """Return the class for an error at a place: a store far away does not answer, unless it says what is missing."""
    silent = Folder.at(location).is_remote and not isinstance(error, FileNotFoundError)
    return UnreachableError if silent else otherwise
