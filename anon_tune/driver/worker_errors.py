"""A one-line reason why a worker ended."""

from __future__ import annotations

import re
from pathlib import Path

_FAILURE = re.compile(r"^Failure # \d+ \(occurred at .*\)\n", re.MULTILINE)


def last_words(error_file: str | None) -> str:
    """Return one line about what ended a worker: the last of its traceback, if it left one.

    Ray leaves the error as text and as a pickle, which is not opened.

    Args:
        error_file: To which every failure's text is appended; None where there is none.
    """
    if error_file is None or not Path(error_file).exists():
        return "the worker was lost"
    last = _FAILURE.split(Path(error_file).read_text(encoding="utf-8", errors="replace"))[-1]
    lines = [line.strip() for line in last.splitlines() if line.strip()] or ["the worker was lost"]
    # What a task raised is told with a traceback, which ends with the cause; of a lost worker the first line says most.
    return lines[-1] if "ray::" in lines[0] or lines[0].startswith("Traceback") else lines[0]
