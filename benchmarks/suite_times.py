"""How long test files take: wall seconds, and CPU seconds of all processes that they start, Ray's daemons too.

    python benchmarks/suite_times.py --out before.jsonl tests/cluster/test_*.py

Every file runs in a pytest of its own, whose start is part of its time. Orphans become children of this process, which
asks the system what they have used when they end. Linux only.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def reap(main: int, ended: threading.Event, code: list[int]) -> None:
    """Wait for all children, the orphans among them, until there are none."""
    while True:
        try:
            pid, status = os.wait()
        except ChildProcessError:
            return
        if pid == main:
            code.append(os.waitstatus_to_exitcode(status))
            ended.set()


def timed(command: list[str]) -> dict[str, float | int]:
    """Run a command and everything that it leaves behind."""
    start, before = time.monotonic(), cpu_seconds()
    process = subprocess.Popen(command)
    ended, code = threading.Event(), list[int]()
    reaper = threading.Thread(target=reap, args=(process.pid, ended, code))
    reaper.start()
    ended.wait()
    wall = time.monotonic() - start
    reaper.join(60)  # what goes on longer than this is not counted
    return {"exit": code[0], "wall_s": round(wall, 1), "cpu_s": round(cpu_seconds() - before, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="gets a JSON line for each file")
    parser.add_argument("files", nargs="+")
    given = parser.parse_args()
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError("this system does not hand orphans to another process")
    for file in given.files:
        line = {"file": file} | timed([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", file])
        with open(given.out, "a") as log:
            print(json.dumps(line), file=log)


if __name__ == "__main__":
    main()
