"""What a caller may be told while videos are imported, or an anonymizer is audited."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anon_tune.datasets import BadFile
    from anon_tune.datasets.readers import Listing


class ImportWatch:
    """Is told how an import goes. This one says nothing; override what is of interest."""

    def begin(self, listing: Listing) -> None:
        """Take what was found of a published data set, before anything is decoded."""

    def show(self, done: int, total: int) -> None:
        """Take the files decoded so far, of all."""

    def end(self, bad: Sequence[BadFile], short: Sequence[str] = (), num_frames: int = 0) -> None:
        """Take what is wrong with files: those that cannot be decoded, and those too short for so many frames."""


class AuditWatch(ImportWatch):
    """Is told how an audit goes, and the import of folders before it. This one says nothing."""

    def cached(self, folder: Path | None) -> None:
        """Take where the baseline is kept, before it is measured; None if no folder can be written."""

    def measured(self, what: str, done: int, total: int) -> None:
        """Take what is being done, steps done and steps in all."""
