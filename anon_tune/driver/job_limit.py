"""Ends a worker whose job takes too long, and reports afterwards where it hung."""

from __future__ import annotations

import faulthandler
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from anon_tune.study_directory import TrialDirectory
from anon_tune.trial import RungReport

_LOOK_EVERY_S = 5.0


def within(
    seconds: float | None, directory: TrialDirectory, through_train: bool, advance: Callable[[], RungReport]
) -> RungReport:
    """Do a job. If it takes too long, write down where it hung and end this process.

    The timer does not need the interpreter lock, so it also ends a job that hangs in the code of a C library. A job of
    Ray Train's workers is timed from their start, because before that they may wait for a node.

    Args:
        seconds: The limit; None for no limit.
        directory: The directory of the trial.
        through_train: True if workers of Ray Train do the job.
        advance: Does the job.
    """
    if seconds is None:
        return advance()
    over, is_remote = threading.Event(), directory.folder.is_remote
    with tempfile.TemporaryFile() if is_remote else open(directory.hung.path, "wb") as file:

        def arm() -> None:
            began = f"{time.time()}\n".encode()
            if is_remote:  # a process that is about to end cannot write there, so the start time is written now
                directory.hung.write(began)
            file.write(began)
            file.flush()
            faulthandler.dump_traceback_later(seconds, exit=True, file=file)

        def arm_when_begun() -> None:
            while not over.wait(min(seconds, _LOOK_EVERY_S)):
                if directory.begun.exists():
                    arm()
                    return

        waits = threading.Thread(target=arm_when_begun, daemon=True)
        if through_train:
            directory.begun.remove()  # of an earlier attempt
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
            directory.hung.remove()


def why_hung(directory: TrialDirectory, job_limit_s: float | None) -> str:
    """Return where a worker hung, if the limit ended it; empty if the worker died for another reason.

    Args:
        directory: The directory of the trial.
        job_limit_s: The limit of the worker in seconds; None if it had none.
    """
    try:
        if job_limit_s is None or not directory.hung.exists():
            return ""
        began, _, text = directory.hung.read().decode(errors="replace").partition("\n")
    except OSError:  # the store does not answer: a study does not end for want of a reason
        return ""
    threads = [t for t in text.split("hread 0x") if Path(__file__).name in t]  # this file is on the job's stack
    places = [line.strip().removeprefix("File ") for t in threads for line in t.splitlines() if "File " in line]
    if places:
        return f"a job took longer than {job_limit_s:g} s, in {places[0]}"
    is_over = directory.folder.is_remote and bool(began) and time.time() - float(began) >= job_limit_s
    return f"a job took longer than {job_limit_s:g} s" if is_over else ""
