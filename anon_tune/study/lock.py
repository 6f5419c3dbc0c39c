"""The lock of a study directory, which lets only one driver at a time write it."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from anon_tune.errors import StudyError, UnreachableError
from anon_tune.folder import File, why
from anon_tune.study_directory import StudyDirectory, StudyLocation

_BEAT_S = 5.0
_DEAD_AFTER_S = 4 * _BEAT_S
_LOOK_S = 1.0  # for so long a `driver_of` may be in the way
_UNKNOWN = "unknown"
_LET_IT = "Let that one go on"


class Hold:
    """The lock in the hands of its holder. On a file system, it cannot be lost.

    Attributes:
        lost: Set when another process took the lock while this one was cut off or asleep.
    """

    def __init__(self) -> None:
        self.lost = threading.Event()

    def check(self) -> None:
        """Check, before anything is written, that this process still holds the lock.

        Raises:
            StudyError: Another process holds it.
            UnreachableError: The store cannot be read.
        """


@contextmanager
def driver_lock(directory: StudyLocation) -> Iterator[Hold]:
    """Let one process at a time write a study directory.

    On a file system the operating system provides the lock, and releases it when the process dies. An object store has
    no locks. There the holder rewrites a file every five seconds; a file that does not change for twenty seconds was
    left by a dead process.

    Raises:
        StudyError: Another process holds it, or the directory is a copy that ``fetch`` made.
        UnreachableError: A store cannot be written.
        OSError: The directory cannot be written.
    """
    study = StudyDirectory.at(directory)
    lock = study.lock
    if lock.folder.is_remote:
        with _beating(lock) as hold:
            yield hold
        return
    study.check_original()  # fetch makes copies on this machine only
    lock.folder.path.mkdir(parents=True, exist_ok=True)
    with open(lock.path, "a+", encoding="utf-8") as file:
        if not _is_taken(file, fcntl.LOCK_EX, _LOOK_S):
            file.seek(0)
            raise _held(lock, file.read())
        file.truncate(0)
        file.write(_me())
        file.flush()
        yield Hold()


def driver_of(directory: StudyLocation) -> str | None:
    """Return the process that holds a study directory, as it calls itself; None if no process does.

    Nothing is written. On an object store this takes up to five seconds, and twenty if a process died: only a file that
    does not change shows that.

    Raises:
        OSError: The directory cannot be read.
    """
    lock = StudyDirectory.at(directory).lock
    if lock.folder.is_remote:
        try:
            _wait_until_dead(lock)
        except StudyError as held:
            return str(held.got)
        return None
    if not lock.path.exists():
        return None
    with open(lock.path, encoding="utf-8") as file:
        return None if _is_taken(file, fcntl.LOCK_SH) else file.read() or _UNKNOWN


def _is_taken(file: TextIO, kind: int, patience_s: float = 0.0) -> bool:
    """Take a lock of the operating system until the file is closed; return whether that succeeded."""
    end = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(0.05)
        else:
            return True


class _BeatingHold(Hold):
    def __init__(self, lock: File) -> None:
        super().__init__()
        self._lock, self._key, self._beaten = lock, secrets.token_hex(8), 0.0
        self._one_at_a_time = threading.Lock()

    def beat(self) -> None:
        content = {"holder": _me(), "key": self._key, "time": time.time()}
        self._lock.write(json.dumps(content).encode())
        self._beaten = _uptime()

    def is_ours(self) -> bool:
        return _content(self._lock).get("key") == self._key

    def beat_on(self) -> None:
        """Beat once more, unless another process has the lock by now."""
        with self._one_at_a_time:
            if self.is_ours():
                self.beat()
            else:
                self.lost.set()

    def check(self) -> None:
        if not self.lost.is_set() and _uptime() - self._beaten > _DEAD_AFTER_S / 2:
            try:
                self.beat_on()
            except OSError as error:
                where, remedy = str(self._lock.folder), "Check permissions and connection, then continue"
                raise UnreachableError(where, "cannot be reached", remedy=remedy, cause=why(error)) from None
        if self.lost.is_set():
            raise StudyError(str(self._lock.folder), "another process has taken this study over", remedy=_LET_IT)


@contextmanager
def _beating(lock: File) -> Iterator[Hold]:
    hold, over = _BeatingHold(lock), threading.Event()

    def keep() -> None:
        while not over.wait(_BEAT_S) and not hold.lost.is_set():
            with suppress(OSError):  # the store may be unreachable for a while; other processes then wait longer
                hold.beat_on()

    try:
        _wait_until_dead(lock)
        hold.beat()
        time.sleep(0.5)  # if two processes saw a dead lock at the same time, the later writer holds it
        if not hold.is_ours():
            raise _held(lock, str(_content(lock).get("holder", "")))
    except OSError as error:
        where, remedy = str(lock.folder), "Check permissions and connection, then try again"
        raise UnreachableError(where, "cannot be written", remedy=remedy, cause=why(error)) from None
    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield hold
    finally:
        over.set()
        thread.join()
        with suppress(OSError):  # otherwise the next driver waits until the file has not changed for long enough
            if hold.is_ours():
                lock.remove()


def _uptime() -> float:
    """Return seconds since the machine started, including the time that it slept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _wait_until_dead(lock: File) -> None:
    """Wait until no process holds the lock. Clocks of two machines are not compared, because they may differ."""
    first = _content(lock)
    end = time.monotonic() + _DEAD_AFTER_S
    while first and time.monotonic() < end:
        time.sleep(_BEAT_S / 5)
        now = _content(lock)
        if not now:
            return
        if now != first:
            raise _held(lock, str(now.get("holder", "")))


def _content(lock: File) -> dict[str, object]:
    try:
        return dict(json.loads(lock.read()))
    except FileNotFoundError:
        return {}
    except ValueError:  # not written by us; it blocks others no longer than a dead lock
        return {"holder": _UNKNOWN}


def _held(lock: File, holder: str) -> StudyError:
    rule, remedy = "another process is running this study", "Stop it, or wait until it ends"
    return StudyError(str(lock.folder), rule, holder or _UNKNOWN, remedy)


def _me() -> str:
    return f"pid {os.getpid()} on {socket.gethostname()}"
