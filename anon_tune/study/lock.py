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

from anon_tune.errors import LedgerError
from anon_tune.folder import Folder, Location, why

_FILE = ".lock"
_BEAT_S = 5.0
_DEAD_AFTER_S = 4 * _BEAT_S


@contextmanager
def driver_lock(directory: Location) -> Iterator[threading.Event]:
    """Let one process at a time write a study directory.

    On a file system the lock is the system's, which frees that of a dead process. An object store has none: there
    the holder rewrites a file every five seconds, and a file that stays the same for twenty was left by a dead one.

    Yields:
        An event that is set when the lock was lost: another process took it while this one was cut off or asleep.

    Raises:
        LedgerError: Another process holds it.
    """
    folder = Folder.at(directory)
    if folder.is_remote:
        with _beating(folder) as lost:
            yield lost
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
        yield threading.Event()


@contextmanager
def _beating(folder: Folder) -> Iterator[threading.Event]:
    key, lost, over = secrets.token_hex(8), threading.Event(), threading.Event()

    def beat() -> None:
        folder.write(_FILE, json.dumps({"holder": _me(), "key": key, "time": time.time()}).encode())

    def keep() -> None:
        while not over.wait(_BEAT_S):
            with suppress(OSError):  # a store that is away for a while; who waits for us waits longer
                if _content(folder).get("key") != key:
                    lost.set()
                    return
                beat()

    _wait_until_dead(folder)
    try:
        beat()
        time.sleep(0.5)  # of two that saw a dead lock at once, the later one has it
        if _content(folder).get("key") != key:
            raise _held(folder, str(_content(folder).get("holder", "")))
    except OSError as error:
        raise LedgerError(str(folder), "cannot be written", why(error), "Mend that first") from None
    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield lost
    finally:
        over.set()
        thread.join()
        if not lost.is_set():
            folder.remove(_FILE)


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


def _held(folder: Folder, holder: str) -> LedgerError:
    rule, remedy = "another process is running this study", "Stop it, or wait until it ends"
    return LedgerError(str(folder), rule, holder or "unknown", remedy)


def _me() -> str:
    return f"pid {os.getpid()} on {socket.gethostname()}"
