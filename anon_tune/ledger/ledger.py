"""Writes and reads the ledger of one study."""

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
        folder: The ``ledger`` folder, as a path or a URI; it is created by the first append.
        guard: Called before every record is written; it raises if this process must not write any more.
    """

    def __init__(self, folder: Location, guard: Callable[[], None] | None = None) -> None:
        self._guard = guard
        self.folder = Folder.at(folder)
        self._next: int | None = None  # number of the next record; None until this process writes

    def append(self, trial: Trial, report: RungReport | None = None, rung_correlation: float | None = None) -> None:
        """Record the present state of a trial, and the report that led to it if there is one.

        The record is on disk when the call returns.

        Args:
            trial: The trial in its new state.
            report: The report that a worker sent; None if the state changed for another reason.
            rung_correlation: Rank correlation of rung leakage and full leakage over all trials up to this one; None
                if it is not known.

        Raises:
            StudyError: The record cannot be written, for example because the disk is full. All earlier records are
                safe.
        """
        row = {} if report is None else report_row(report)
        self._write(trial, row | {"rung_correlation": rung_correlation})

    def append_lost(self, trial: Trial, job: LostJob) -> None:
        """Record a job that ended without a report.

        The record is on disk when the call returns.

        Raises:
            StudyError: The record cannot be written; all earlier records are safe.
        """
        self._write(trial, lost_row(job))

    def append_repeat(self, trial: Trial, repeat: Repeat) -> None:
        """Record one more measurement of a trial. If two repeats have the same number, the later one counts.

        The record is on disk when the call returns.

        Raises:
            StudyError: The record cannot be written; all earlier records are safe.
        """
        self._write(trial, repeat_row(repeat))

    def trials(self) -> list[Trial]:
        """Read all records and return the trials: the anchors, then all other trials by number.

        A trial whose full score is recorded is COMPLETE, even if the driver died before it recorded that state.

        Raises:
            StudyError: A file with the name of a ledger file is not one, or a record is damaged.
        """
        records = read_parts(self.folder)
        try:
            return fold(records)
        except (TypeError, ValueError) as error:  # errors of the json module are ValueErrors
            remedy = "Replace the folder by an undamaged copy"
            raise StudyError(str(self.folder), "holds a damaged record", remedy=remedy, cause=why(error)) from None

    def _write(self, trial: Trial, values: Mapping[str, Any]) -> None:
        if self._guard:
            self._guard()
        try:
            if self._next is None:
                self._next = prepare_writing(self.folder)
            add_record(self.folder, trial_row(self._next, trial, values))
        except OSError as error:
            action = "Free space there" if error.errno in _FULL else "Check permissions and connection"
            remedy = f"{action}, then go on with 'resume' or 'verify'; all earlier records are safe"
            kind, rule = kind_of(error, self.folder, StudyError), "a record could not be written"
            raise kind(str(self.folder), rule, remedy=remedy, cause=why(error)) from None
        self._next += 1
