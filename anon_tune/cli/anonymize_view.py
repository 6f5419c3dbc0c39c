"""Progress on a terminal or in a log file while a video is anonymized."""

from __future__ import annotations

import sys
import time

from anon_tune.cli.clock import clock

_LINE_S = 5.0  # seconds between two lines of progress where no bar can be drawn


class VideoProgress:
    """Shows frames done, frames per second and time left: as a bar on a terminal, else as a line every few seconds."""

    def __init__(self, name: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._name, self._started, self._said = name, time.monotonic(), time.monotonic()
        console = Console(stderr=True)
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[fps]:.1f} fps"), TimeRemainingColumn())
        text = TextColumn("{task.description}", markup=False)
        self._bar = Progress(text, *columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task(name, total=None, fps=0.0)

    def __enter__(self) -> VideoProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, done: int, total: int) -> None:
        """Show how many frames are done, of how many in total; the total is 0 if unknown."""
        now = time.monotonic()
        fps = done / max(now - self._started, 1e-9)
        if not self._bar.disable:
            self._bar.update(self._task, completed=done, total=total or None, fps=fps)
        elif now - self._said >= _LINE_S:
            self._said = now
            left = f", about {clock(max(0, total - done) / fps)} left" if total else ""
            of = f" of {total}" if total else ""
            print(f"{self._name}: {done}{of} frames, {fps:.1f} per second{left}", file=sys.stderr, flush=True)
