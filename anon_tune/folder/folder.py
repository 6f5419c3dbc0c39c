"""A folder at a path of this machine or at a URI that pyarrow can open, with the same calls for both."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote, urlsplit

from anon_tune.address import OBJECT_STORES, refuse_secret
from anon_tune.errors import StudyError
from anon_tune.folder.filesystem import is_uri, open_filesystem, split_query

if TYPE_CHECKING:
    from pyarrow import fs

_NAME_MAX = 255  # bytes
_READS = 5  # of a file that others write at the same time
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)  # raised by file systems that cannot sync a folder


Location: TypeAlias = "Folder | Path | str"
"""A folder, given as a `Folder`, a path or a URI."""


class Folder(ABC):
    """A folder on this machine or at a URI.

    The folder is created when its first file is written. A file gets its name only when it is complete. When a call
    that writes a file returns, the file is on disk, or the store has confirmed it. All calls raise OSError as Python's
    own functions do.

    Args:
        location: An absolute path, or a URI.
    """

    def __init__(self, location: str) -> None:
        self.location = location

    @staticmethod
    def at(location: Location) -> Folder:
        """Return the folder at a path or a URI such as ``s3://bucket/studies/first``.

        Raises:
            UsageError: The URI carries a key.
        """
        if isinstance(location, Folder):
            return location
        if isinstance(location, str) and location.startswith("file://"):
            location = unquote(urlsplit(location).path)  # as a path, it also has locks and syncs
        if is_uri(location):
            refuse_secret("directory", str(location))
            return _RemoteFolder(str(location))
        return _LocalFolder(str(Path(location).resolve()))

    def __str__(self) -> str:
        return self.location

    def __repr__(self) -> str:
        return f"Folder.at({self.location!r})"

    def __truediv__(self, name: str) -> Folder:
        """Return the folder inside this one with this name, which may have several parts."""
        path, query = split_query(self.location)
        return type(self)(f"{path.rstrip('/')}/{name}{query}")

    @property
    def name(self) -> str:
        """The name of the folder: the last part of its location."""
        return split_query(self.location)[0].rstrip("/").rpartition("/")[2]

    @property
    def is_remote(self) -> bool:
        """True if the folder is at a URI."""
        return is_uri(self.location)

    @property
    @abstractmethod
    def path(self) -> Path:
        """The path of the folder on this machine.

        Raises:
            StudyError: The folder is at a URI.
        """

    @property
    @abstractmethod
    def storage(self) -> tuple[fs.FileSystem | None, str]:
        """The pyarrow file system and the path in it, as Ray takes them; the file system of this machine is None."""

    @abstractmethod
    def names(self) -> list[str]:
        """Return the names of all files and folders in this folder, in any order; none if it does not exist."""

    @abstractmethod
    def folders(self) -> list[str]:
        """Return the names of all folders in this folder, in any order; none if it does not exist."""

    @abstractmethod
    def has(self, name: str) -> bool:
        """True if a file of that name exists."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Return the content of a file."""

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Write a file, replacing one that exists. A reader sees the old file or the new one, never a part."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file, or a folder with everything in it. It is no error if there is none."""

    @abstractmethod
    def reading(self, name: str) -> AbstractContextManager[Path]:
        """Return a context that yields a path on this machine from which a file can be read."""

    @abstractmethod
    def writing(self, name: str) -> AbstractContextManager[Path]:
        """Return a context that yields a path on this machine to write to.

        When the block ends, what was written there becomes the file, replacing one that exists. If the block raises,
        the folder stays as it was.
        """


class _LocalFolder(Folder):
    @property
    def path(self) -> Path:
        return Path(self.location)

    @property
    def storage(self) -> tuple[fs.FileSystem | None, str]:
        return None, self.location

    def names(self) -> list[str]:
        with suppress(FileNotFoundError, NotADirectoryError):
            return os.listdir(self.location)
        return []

    def folders(self) -> list[str]:
        return [name for name in self.names() if (self.path / name).is_dir()]

    def has(self, name: str) -> bool:
        return (self.path / name).is_file()

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        with self.writing(name) as hidden, open(hidden, "wb") as file:
            file.write(content)

    def remove(self, name: str) -> None:
        path = self.path / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    @contextmanager
    def reading(self, name: str) -> Iterator[Path]:
        yield self.path / name

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        path = self.path / name
        make_folder(path.parent)
        hidden = path.with_name(_hidden(path.name))
        try:
            yield hidden
            _sync(hidden)
            os.replace(hidden, path)
        except BaseException:
            with suppress(OSError):  # the first error is the one to raise
                os.unlink(hidden)
            raise
        with _unless_unsupported():
            _sync(path.parent)


class _RemoteFolder(Folder):
    """A folder at a URI. In an object store, a file appears only when it is complete; elsewhere it must be renamed."""

    @property
    def path(self) -> Path:
        rule = "must be a directory on this machine for this command"
        raise StudyError(self.location, rule, remedy="Copy it with 'anon-tune fetch' first")

    @property
    def storage(self) -> tuple[fs.FileSystem | None, str]:
        return open_filesystem(self.location)

    def names(self) -> list[str]:
        return [info.base_name for info in self._inside()]

    def folders(self) -> list[str]:
        from pyarrow import fs

        return [info.base_name for info in self._inside() if info.type == fs.FileType.Directory]

    def _inside(self) -> list[fs.FileInfo]:
        from pyarrow import fs

        filesystem, path = open_filesystem(self.location)
        return list(filesystem.get_file_info(fs.FileSelector(path, allow_not_found=True)))

    def has(self, name: str) -> bool:
        from pyarrow import fs

        filesystem, path = open_filesystem(self.location)
        return bool(filesystem.get_file_info(f"{path}/{name}").type == fs.FileType.File)

    def read(self, name: str) -> bytes:
        filesystem, path = open_filesystem(self.location)
        file = f"{path}/{name}"
        before: bytes | None = None
        for _ in range(_READS):
            with filesystem.open_input_file(file) as stream:
                content = bytes(stream.readall())
            # pyarrow asks for the size first: of a longer file that was written since then, it reads a part
            if filesystem.get_file_info(file).size == len(content) or content == before:
                return content
            before = content  # what is read twice is whole, and the store tells a wrong size
        raise OSError(errno.EIO, "it is written faster than it can be read", file)

    def write(self, name: str, content: bytes) -> None:
        filesystem, path = open_filesystem(self.location)
        file = f"{path}/{name}"
        if self.location.partition("://")[0] in OBJECT_STORES:
            with filesystem.open_output_stream(file) as stream:
                stream.write(content)
            return
        parent, _, last = file.rpartition("/")
        filesystem.create_dir(parent, recursive=True)
        hidden = f"{parent}/.{last}.{os.getpid()}"
        with filesystem.open_output_stream(hidden) as stream:
            stream.write(content)
        filesystem.move(hidden, file)

    def remove(self, name: str) -> None:
        from pyarrow import fs

        filesystem, path = open_filesystem(self.location)
        match filesystem.get_file_info(f"{path}/{name}").type:
            case fs.FileType.File:
                filesystem.delete_file(f"{path}/{name}")
            case fs.FileType.Directory:
                filesystem.delete_dir(f"{path}/{name}")

    @contextmanager
    def reading(self, name: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="anon-tune-") as scratch:
            here = Path(scratch) / Path(name).name
            here.write_bytes(self.read(name))
            yield here

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="anon-tune-") as scratch:
            here = Path(scratch) / Path(name).name
            yield here
            self.write(name, here.read_bytes())


def make_folder(path: Path) -> None:
    """Make a folder of this machine if it does not exist, and those that it lies in.

    Raises:
        NotADirectoryError: There is a file in its place. Python says "File exists", which names no fault.
        OSError: It cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from None


def _hidden(name: str) -> str:
    """Return the name of a file that is not complete: no longer than a file system takes where the name itself is."""
    whole = f".{name}.{os.getpid()}"
    return whole if len(os.fsencode(whole)) <= _NAME_MAX else f".{sha256(os.fsencode(name)).hexdigest()}.{os.getpid()}"


def _sync(path: Path) -> None:
    """Force the content of a file, or the names in a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _unless_unsupported() -> Iterator[None]:
    """Ignore the error of a file system that cannot sync folders."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
