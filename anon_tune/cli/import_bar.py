"""Progress on a terminal while videos are imported, and messages about files that had problems."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from anon_tune.commands.watch import ImportWatch
from anon_tune.video.folder_files import printable

if TYPE_CHECKING:
    from anon_tune.datasets import BadFile
    from anon_tune.datasets.readers import Listing


class ImportBar(ImportWatch):
    """Shows a bar on a terminal during the import, then counts, then one line for each file that had a problem.

    Args:
        stack: When it closes, the bar is removed and the counts are printed, even if the import ended early.
    """

    def __init__(self, stack: ExitStack) -> None:
        from rich.console import Console
        from rich.progress import MofNCompleteColumn, Progress

        console = Console(stderr=True)
        columns = (*Progress.get_default_columns(), MofNCompleteColumn())
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("Importing", total=None)
        self._stack = stack
        self._listing: Listing | None = None
        stack.callback(self.counted)

    def begin(self, listing: Listing) -> None:
        self._listing = listing

    def show_store(self, show: Callable[[], None]) -> None:
        """Remove the bar and print the contents of the clip store."""
        self._bar.stop()
        show()

    def counted(self) -> None:
        """Print how many items of each kind were found and how many were published, one line per kind."""
        if self._listing is None:
            return
        rows = [("", "found", "published")] + [
            (count.what, f"{count.found:,}", "-" if count.published is None else f"{count.published:,}")
            for count in self._listing.counts
        ]
        self._listing = None
        widths = [max(len(row[at]) for row in rows) for at in range(3)]
        for what, found, published in rows:
            print(f"{what:<{widths[0]}}  {found:>{widths[1]}}  {published:>{widths[2]}}")
        sys.stdout.flush()  # so that it appears before any message on stderr

    def left_out(self, folder: str, said: str) -> None:
        print(f"{printable(folder)}: {said}. They are left out.", file=sys.stderr)

    def without_keypoints(self, file: Path, said: str) -> None:
        print(f"{printable(file)}: {said}. Silhouettes are used instead.", file=sys.stderr)

    def damaged(self, files: Sequence[BadFile]) -> None:
        for file in files:
            print(f"{file.file}: {file.reason}; what can be decoded is used.", file=sys.stderr)

    def show(self, done: int, total: int) -> None:
        if not self._bar.live.is_started:
            self._bar.start()
            self._stack.callback(self._bar.stop)
        self._bar.update(self._task, completed=done, total=total)

    def end(self, bad: Sequence[BadFile], short: Sequence[str] = ()) -> None:
        self._bar.stop()
        for file in bad:
            print(f"{file.file}: cannot be used (at frame {file.frame}): {file.reason}.", file=sys.stderr)
        for name in short:
            print(f"{name}: is too short; its clip repeats frames.", file=sys.stderr)
