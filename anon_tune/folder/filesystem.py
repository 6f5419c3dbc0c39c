"""Takes URIs apart and opens the pyarrow file systems that they name."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from anon_tune.errors import UsageError

if TYPE_CHECKING:
    from pyarrow import fs


def is_uri(location: Path | str) -> bool:
    """True if a location is a URI, not a path."""
    return isinstance(location, str) and "://" in location


def split_query(location: str) -> tuple[str, str]:
    """Split a URI into the part before the query and the query with its question mark; a path has no query."""
    path, mark, query = location.partition("?") if is_uri(location) else (location, "", "")
    return path, mark + query


def open_filesystem(location: str) -> tuple[fs.FileSystem, str]:
    """Return the file system of a URI and the path in it. All URIs of one store share its connections.

    Raises:
        UsageError: pyarrow cannot open the URI.
    """
    address = urlsplit(location)
    query = f"?{address.query}" if address.query else ""
    try:
        if not address.netloc:
            raise ValueError("no bucket or host")
        filesystem, root = _connect(f"{address.scheme}://{address.netloc}{query}")
    except (OSError, ValueError) as error:  # errors of Arrow itself are ValueErrors
        rule, remedy = "must be a URI that pyarrow can open", "Write s3://bucket/name"
        raise UsageError(location, rule, remedy=remedy, cause=why(error)) from None
    return filesystem, (root.rstrip("/") + unquote(address.path)).rstrip("/")


@cache
def _connect(store: str) -> tuple[fs.FileSystem, str]:
    from pyarrow import fs

    filesystem, root = fs.FileSystem.from_uri(store)
    return filesystem, str(root)


def why(error: BaseException) -> str:
    """Return the cause of an error in one line, as the operating system or the store reported it."""
    said = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
    return str(said).splitlines()[0]
