"""The ledger of one study."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from typing import Any

from anon_tune.errors import StudyError
from anon_tune.folder import Folder, Location, kind_of, why
from anon_tune.ledger.folding import fold
from anon_tune.ledger.parts import add_record, prepare_writing, read_parts
from anon_tune.ledger.record import lost_row, repeat_row, report_row, trial_row
from anon_tune.trial import LostJob, Repeat, RungReport, Trial

_FULL = (errno.ENOSPC, errno.EDQUOT)


class Ledger:
    """The ledger of one study directory.

    Args:
        folder: The ``ledger`` folder, a path or a URI; created on the first append.
        guard: Called before every record; raises if this process must write no more.
    """

    def __init__(self, folder: Location, guard: Callable[[], None] | None = None) -> None:
        self._guard = guard
        self.folder = Folder.at(folder)
        self._next: int | None = None  # known to a writer alone

    def append(self, trial: Trial, report: RungReport | None = None, rung_correlation: float | None = None) -> None:
        """Record a trial's present state, with the report that led to it if there is one.

        The record is on disk when the call returns.

        Args:
            trial: As it now stands.
            report: What a worker sent.
            rung_correlation: Rank correlation of rung and full leakage over all trials up to this one.

        Raises:
            StudyError: The disk is full or takes no file; all earlier records are safe.
        """
        row = {} if report is None else report_row(report)
        self._write(trial, row | {"rung_correlation": rung_correlation})

    def append_lost(self, trial: Trial, job: LostJob) -> None:
        """Record a job that never reported.

        The record is on disk when the call returns.

        Raises:
            StudyError: The disk is full or takes no file; all earlier records are safe.
        """
        self._write(trial, lost_row(job))

    def append_repeat(self, trial: Trial, repeat: Repeat) -> None:
        """Record one more measurement of a trial; of two with the same number the later one counts.

        The record is on disk when the call returns.

        Raises:
            StudyError: The disk is full or takes no file; all earlier records are safe.
        """
        self._write(trial, repeat_row(repeat))

    def trials(self) -> list[Trial]:
        """Fold the records into trials, anchors first, then by number.

        A trial whose full score is recorded is COMPLETE even if the driver died before saying so.

        Raises:
            StudyError: A file in the folder is named like a ledger's and is none, or a record is damaged.
        """
        records = read_parts(self.folder)
        try:
            return fold(records)
        except (TypeError, ValueError) as error:  # JSON's errors are ValueErrors
            remedy = "Put a copy in its place"
            raise StudyError(str(self.folder), "holds a damaged record", remedy=remedy, cause=why(error)) from None

    def _write(self, trial: Trial, values: Mapping[str, Any]) -> None:
        if self._guard:
            self._guard()
        try:
            if self._next is None:
                self._next = prepare_writing(self.folder)
            add_record(self.folder, trial_row(self._next, trial, values))
        except OSError as error:
            mend = "Make room there" if error.errno in _FULL else "Check permissions and connection"
            remedy = f"{mend}, then go on: what was recorded before is safe"
            kind, rule = kind_of(error, self.folder, StudyError), "a record could not be written"
            raise kind(str(self.folder), rule, remedy=remedy, cause=why(error)) from None
        self._next += 1
