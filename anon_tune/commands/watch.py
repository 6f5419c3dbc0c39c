"""Callbacks for the progress of an import and of an audit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anon_tune.datasets import BadFile
    from anon_tune.datasets.readers import Listing


class ImportWatch:
    """Receives the progress of an import. This class shows nothing; override the methods you need."""

    def begin(self, listing: Listing) -> None:
        """Called before decoding starts, with the files of a published data set that were found."""

    def show(self, done: int, total: int) -> None:
        """Called with the number of files decoded so far and the total number."""

    def counted(self) -> None:
        """Called when the clip store is complete, before the methods below."""

    def left_out(self, folder: str, said: str) -> None:
        """Called if the pattern matches files that are not videos; `said` tells how many there are."""

    def without_keypoints(self, file: Path, said: str) -> None:
        """Called at the end if the file of key points does not know some videos; `said` tells how many there are."""

    def damaged(self, files: Sequence[BadFile]) -> None:
        """Called at the end with the files that are used although damage is suspected."""

    def end(self, bad: Sequence[BadFile], short: Sequence[str] = ()) -> None:
        """Called at the end, with the files that cannot be used and those whose clips repeat frames."""


class AuditWatch(ImportWatch):
    """Receives the progress of an audit and of the import of folders before it. This class shows nothing."""

    def cached(self, folder: Path | None) -> None:
        """Called before the baseline is measured, with the folder that keeps it; None if no folder is writable."""

    def measured(self, what: str, done: int, total: int) -> None:
        """Called with the current task, its steps done and its total steps."""
