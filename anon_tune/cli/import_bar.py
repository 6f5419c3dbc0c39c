"""What a terminal shows while videos are imported, and what is said of their files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from anon_tune.commands.watch import ImportWatch

if TYPE_CHECKING:
    from anon_tune.datasets import BadFile
    from anon_tune.datasets.readers import Listing


class ImportBar(ImportWatch):
    """A bar on a terminal, from the first file to the last; then a line for each file with something wrong.

    Args:
        stack: Takes the bar away at its end, if the import does not get to its own.
    """

    def __init__(self, stack: ExitStack) -> None:
        from rich.console import Console
        from rich.progress import MofNCompleteColumn, Progress

        console = Console(stderr=True)
        columns = (*Progress.get_default_columns(), MofNCompleteColumn())
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("Importing", total=None)
        self._stack = stack

    def begin(self, listing: Listing) -> None:
        """Print what was found against what is published, a line a kind."""
        rows = [("", "found", "published")] + [
            (count.what, f"{count.found:,}", "-" if count.published is None else f"{count.published:,}")
            for count in listing.counts
        ]
        widths = [max(len(row[at]) for row in rows) for at in range(3)]
        for what, found, published in rows:
            print(f"{what:<{widths[0]}}  {found:>{widths[1]}}  {published:>{widths[2]}}")
        sys.stdout.flush()  # before whatever is said on stderr

    def show(self, done: int, total: int) -> None:
        if not self._bar.live.is_started:
            self._bar.start()
            self._stack.callback(self._bar.stop)
        self._bar.update(self._task, completed=done, total=total)

    def end(self, bad: Sequence[BadFile], short: Sequence[str] = (), num_frames: int = 0) -> None:
        self._bar.stop()
        for file in bad:
            print(f"{file.file}: cannot be decoded at frame {file.frame}, got {file.reason}.", file=sys.stderr)
        for name in short:
            print(f"{name}: is too short for {num_frames} frames; its clip repeats some.", file=sys.stderr)
