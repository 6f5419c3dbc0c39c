"""Locks between processes, also on different nodes of a shared file system."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path, wait: bool) -> Iterator[None]:
    """Hold the lock of a file, which is made if it is not there; it ends with the process at the latest.

    Args:
        path: In a directory that exists.
        wait: Wait while another process holds the lock.

    Raises:
        BlockingIOError: Somebody holds it and `wait` is False.
    """
    with open(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
