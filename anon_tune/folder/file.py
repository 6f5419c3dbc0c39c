"""A file at a path or a URI. It is written completely or not at all."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import quote, unquote

from anon_tune.errors import AnonTuneError, DataError, UnreachableError
from anon_tune.folder.filesystem import is_uri, split_query
from anon_tune.folder.folder import Folder, Location


class File:
    """A file in a folder at a path or a URI; the file need not exist.

    Args:
        folder: The folder that holds the file.
        name: Name of the file in the folder.
    """

    def __init__(self, folder: Folder, name: str) -> None:
        self.folder, self.name = folder, name

    @staticmethod
    def at(location: Path | str) -> File:
        """Return the file at a path or a URI."""
        path, query = split_query(str(location))
        parent, _, name = path.rpartition("/")
        if is_uri(path):
            name = unquote(name)  # as a folder does with the rest
        return File(Folder.at(f"{parent or ('/' if path.startswith('/') else '.')}{query}"), name)

    def __str__(self) -> str:
        return f"{self.folder}/{self.name}"

    @property
    def location(self) -> str:
        """The path or URI of the file; `at` takes it."""
        return (self.folder / (quote(self.name) if self.folder.is_remote else self.name)).location

    @property
    def path(self) -> Path:
        """The path of the file on this machine.

        Raises:
            StudyError: The folder is not on this machine.
        """
        return self.folder.path / self.name

    def exists(self) -> bool:
        """True if the file exists."""
        return self.folder.has(self.name)

    def read(self) -> bytes:
        """Return the content of the file."""
        return self.folder.read(self.name)

    def write(self, content: bytes) -> None:
        """Write the file, replacing one that exists; see `Folder.write`."""
        self.folder.write(self.name, content)

    def remove(self) -> None:
        """Remove the file if it exists."""
        self.folder.remove(self.name)

    def reading(self) -> AbstractContextManager[Path]:
        """Return a context that yields a path on this machine from which the file can be read."""
        return self.folder.reading(self.name)

    def writing(self) -> AbstractContextManager[Path]:
        """Return a context that yields a path on this machine to write to; see `Folder.writing`."""
        return self.folder.writing(self.name)


@contextmanager
def reading_file(location: Path | str) -> Iterator[Path]:
    """Yield a path on this machine from which the file at a path or a URI can be read.

    Raises:
        DataError: There is no file at the URI.
    """
    file = File.at(location)
    if file.folder.is_remote and not file.exists():
        raise DataError(str(location), "no such file", remedy="Check the address")
    with file.reading() as here:
        yield here


def writing_file(location: Path | str) -> AbstractContextManager[Path]:
    """Return a context that yields a path on this machine to write to.

    When the block ends, what was written there becomes the file at the location. If the block raises, the location
    stays as it was.
    """
    return File.at(location).writing()


def kind_of(error: OSError, location: Location, otherwise: type[AnonTuneError]) -> type[AnonTuneError]:
    """Return the exception class for a system error at a location.

    At a URI, every error but a missing file counts as a store that does not answer.
    """
    unreachable = Folder.at(location).is_remote and not isinstance(error, FileNotFoundError)
    return UnreachableError if unreachable else otherwise


def is_gone(error: OSError) -> bool:
    """True if an error says that there is no file; NFS says ESTALE for one that was removed after it was listed."""
    return isinstance(error, FileNotFoundError) or error.errno == errno.ESTALE
