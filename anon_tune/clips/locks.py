"""Locks between processes, which may run on different nodes if these share a file system."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path, wait: bool) -> Iterator[None]:
    """Hold the lock of a file during a block. The lock is released at the latest when the process ends.

    Args:
        path: The file, in a directory that exists; it is created if it does not exist.
        wait: True to wait while another process holds the lock.

    Raises:
        BlockingIOError: Another process holds the lock and `wait` is False.
    """
    with open(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
