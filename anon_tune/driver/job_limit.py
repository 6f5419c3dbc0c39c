"""Ends a worker whose job takes too long, and tells afterwards where it hung."""

from __future__ import annotations

import faulthandler
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from anon_tune.folder import Folder
from anon_tune.trial import BEGUN, RungReport

_HUNG = "hung.txt"
_LOOK_EVERY_S = 5.0


def within(seconds: float | None, folder: Folder, through_train: bool, advance: Callable[[], RungReport]) -> RungReport:
    """Do a job. End this process if it takes too long, and leave where it hung.

    The timer needs no interpreter lock, so it also ends what hangs in a library's own code. A job of Ray Train's
    workers is timed from when they begin: before, they may wait for a node.

    Args:
        seconds: Limit; None for no limit.
        folder: The trial's directory.
        through_train: True if Ray Train's workers do the job.
        advance: Does the job.
    """
    if seconds is None:
        return advance()
    over = threading.Event()
    with tempfile.TemporaryFile() if folder.is_remote else open(folder.path / _HUNG, "wb") as file:

        def arm() -> None:
            began = f"{time.time()}\n".encode()
            if folder.is_remote:  # out of reach for who is about to end: what the driver finds is when it began
                folder.write(_HUNG, began)
            file.write(began)
            file.flush()
            faulthandler.dump_traceback_later(seconds, exit=True, file=file)

        def arm_when_begun() -> None:
            while not over.wait(min(seconds, _LOOK_EVERY_S)):
                if folder.has(BEGUN):
                    arm()
                    return

        waits = threading.Thread(target=arm_when_begun, daemon=True)
        if through_train:
            folder.remove(BEGUN)  # of an earlier attempt
            waits.start()
        else:
            arm()
        try:
            return advance()
        finally:
            over.set()
            if through_train:
                waits.join()
            faulthandler.cancel_dump_traceback_later()
            folder.remove(_HUNG)


def forget_hang(directory: str) -> None:
    """Remove what an earlier attempt that hung has left.

    Args:
        directory: Location of the trial's.
    """
    Folder.at(directory).remove(_HUNG)


def why_hung(folder: Folder, job_limit_s: float | None) -> str:
    """Return why a worker ended that this limit ended; empty for one that died of something else.

    Args:
        folder: The trial's directory.
        job_limit_s: The limit that the worker had.
    """
    try:
        if job_limit_s is None or not folder.has(_HUNG):
            return ""
        began, _, text = folder.read(_HUNG).decode(errors="replace").partition("\n")
    except OSError:  # a store that is away for a moment: the reason is not worth a study
        return ""
    threads = [t for t in text.split("hread 0x") if Path(__file__).name in t]  # one of them is at the job
    places = [line.strip().removeprefix("File ") for t in threads for line in t.splitlines() if "File " in line]
    if places:
        return f"a job took longer than {job_limit_s:g} s, in {places[0]}"
    is_over = folder.is_remote and bool(began) and time.time() - float(began) >= job_limit_s
    return f"a job took longer than {job_limit_s:g} s" if is_over else ""
