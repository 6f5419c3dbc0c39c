"""Finds a one-line reason why a worker ended."""

from __future__ import annotations

import re
from pathlib import Path

_FAILURE = re.compile(r"^Failure # \d+ \(occurred at .*\)\n", re.MULTILINE)
_KILLED = "Worker exit type: SYSTEM_ERROR"  # Ray's words for a process that ended without an error of its own


def last_words(error_file: str | None) -> str:
    """Return one line that says why a worker ended: the last line of its traceback, if it left one.

    Ray writes the error as text and as a pickle; the pickle is not opened.

    Args:
        error_file: The file to which Ray appends the text of every failure; None if there is none.
    """
    if error_file is None or not Path(error_file).exists():
        return "the worker was lost"
    last = _FAILURE.split(Path(error_file).read_text(encoding="utf-8", errors="replace"))[-1]
    if _KILLED in last:
        from anon_tune.worker.memory import LESS_MEMORY

        return f"its process was killed, most often because memory ran out. {LESS_MEMORY}"
    lines = [line.strip() for line in last.splitlines() if line.strip()] or ["the worker was lost"]
    # An error that a task raised has a traceback that ends with the cause. For a lost worker, the first line says most.
    return lines[-1] if "ray::" in lines[0] or lines[0].startswith("Traceback") else lines[0]
