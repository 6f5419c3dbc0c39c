"""One driver at a time in a study directory."""

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

from anon_tune.errors import StudyError
from anon_tune.folder import Folder, Location, why

_FILE = ".lock"
_BEAT_S = 5.0
_DEAD_AFTER_S = 4 * _BEAT_S
_LET_IT = "Let that one go on"


class Hold:
    """The lock as its holder has it; on a file system it cannot be lost.

    Attributes:
        lost: Set when another process took the lock while this one was cut off or asleep.
    """

    def __init__(self) -> None:
        self.lost = threading.Event()

    def check(self) -> None:
        """Make sure that it is still held, before anything is written.

        Raises:
            StudyError: It is not, or nobody can tell.
        """


@contextmanager
def driver_lock(directory: Location) -> Iterator[Hold]:
    """Let one process at a time write a study directory.

    On a file system the lock is the system's, which frees that of a dead process. An object store has none: there
    the holder rewrites a file every five seconds, and a file that stays the same for twenty was left by a dead one.

    Raises:
        StudyError: Another process holds it, or a store cannot be written.
        OSError: The directory cannot be written.
    """
    folder = Folder.at(directory)
    if folder.is_remote:
        with _beating(folder) as hold:
            yield hold
        return
    folder.path.mkdir(parents=True, exist_ok=True)
    with open(folder.path / _FILE, "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise _held(folder, file.read()) from None
        file.truncate(0)
        file.write(_me())
        file.flush()
        yield Hold()


class _BeatingHold(Hold):
    def __init__(self, folder: Folder) -> None:
        super().__init__()
        self._folder, self._key, self._beaten = folder, secrets.token_hex(8), 0.0
        self._one_at_a_time = threading.Lock()

    def beat(self) -> None:
        content = {"holder": _me(), "key": self._key, "time": time.time()}
        self._folder.write(_FILE, json.dumps(content).encode())
        self._beaten = _uptime()

    def is_ours(self) -> bool:
        return _content(self._folder).get("key") == self._key

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
                raise StudyError(str(self._folder), "cannot be reached", why(error), "Mend that, then go on") from None
        if self.lost.is_set():
            raise StudyError(str(self._folder), "another process has taken this study over", remedy=_LET_IT)


@contextmanager
def _beating(folder: Folder) -> Iterator[Hold]:
    hold, over = _BeatingHold(folder), threading.Event()

    def keep() -> None:
        while not over.wait(_BEAT_S) and not hold.lost.is_set():
            with suppress(OSError):  # a store that is away for a while; who waits for us waits longer
                hold.beat_on()

    try:
        _wait_until_dead(folder)
        hold.beat()
        time.sleep(0.5)  # of two that saw a dead lock at once, the later one has it
        if not hold.is_ours():
            raise _held(folder, str(_content(folder).get("holder", "")))
    except OSError as error:
        raise StudyError(str(folder), "cannot be written", why(error), "Mend that first") from None
    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield hold
    finally:
        over.set()
        thread.join()
        with suppress(OSError):  # the next one waits until it is clear that nobody beats
            if hold.is_ours():
                folder.remove(_FILE)


def _uptime() -> float:
    """Return seconds that go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _wait_until_dead(folder: Folder) -> None:
    """Return when nobody holds the lock; clocks are not compared, as two machines' may differ."""
    first = _content(folder)
    end = time.monotonic() + _DEAD_AFTER_S
    while first and time.monotonic() < end:
        time.sleep(_BEAT_S / 5)
        now = _content(folder)
        if not now:
            return
        if now != first:
            raise _held(folder, str(now.get("holder", "")))


def _content(folder: Folder) -> dict[str, object]:
    try:
        return dict(json.loads(folder.read(_FILE)))
    except FileNotFoundError:
        return {}
    except ValueError:  # not ours; it holds nobody off for longer than a dead one
        return {"holder": "unknown"}


def _held(folder: Folder, holder: str) -> StudyError:
    rule, remedy = "another process is running this study", "Stop it, or wait until it ends"
    return StudyError(str(folder), rule, holder or "unknown", remedy)


def _me() -> str:
    return f"pid {os.getpid()} on {socket.gethostname()}"
