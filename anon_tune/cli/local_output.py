"""The type of an output on this machine, as typer reads it."""

from __future__ import annotations

from pathlib import Path

from anon_tune.address import refuse_secret
from anon_tune.errors import UsageError
from anon_tune.folder import is_uri


def local_output(text: str) -> Path:
    """Parse the path of an output. A URI would become a folder of that name, which a job deletes with its others.

    Raises:
        UsageError: It is a URI.
    """
    refuse_secret("--output", text)
    if is_uri(text):
        remedy = "Name a path and copy the result; 'anon-tune clips copy' copies a clip store"
        raise UsageError("--output", "must be a path on this machine", text, remedy)
    return Path(text)


def local_folder(text: str) -> Path:
    """Parse the path of an output that is a folder.

    Raises:
        UsageError: It is a URI, or there is a file at the path.
    """
    path = local_output(text)
    if path.is_file():
        raise UsageError("--output", "must be a folder", text, "Name another folder")
    return path
