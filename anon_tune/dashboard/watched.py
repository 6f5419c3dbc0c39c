"""A study that the dashboard watches: it is read again when it changes, away from the requests."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass

from anon_tune.commands.status import StudyStatus
from anon_tune.dashboard.progress import progress_html, status_of
from anon_tune.errors import AnonTuneError
from anon_tune.folder import why
from anon_tune.ledger import Ledger
from anon_tune.report import importance_trials
from anon_tune.report.page import page_title, study_summary
from anon_tune.report.sections import PageSection, study_sections
from anon_tune.report.shown import Media, ShownStudy
from anon_tune.report.wording import text
from anon_tune.study.frozen_study import read_study
from anon_tune.study.lock import driver_of
from anon_tune.study_directory import StudyDirectory
from anon_tune.trial import Trial

_LOOK_EVERY_S = 1.0
_REMOTE_EVERY_S = 20.0
_DRIVER_EVERY_S = 60.0
_REST = 3.0  # times as long as the last reading took, so that a large study leaves time to answer requests


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A study as it was read.

    Attributes:
        title: Title of its page, as HTML.
        sections: The parts of its page; the first is the header's.
        shown: What the page shows; None if the study cannot be read.
        status: How far it is; None if that cannot be told.
        problem: Why it, or how far it is, cannot be read, in words; empty if both can.
    """

    title: str
    sections: tuple[PageSection, ...]
    shown: ShownStudy | None
    status: StudyStatus | None
    problem: str = ""


class WatchedStudy:
    """A study and its last snapshot.

    Args:
        study: The study directory.
        media: Where its page finds the pictures of trials.
    """

    def __init__(self, study: StudyDirectory, media: Media) -> None:
        self.study = study
        self._media = media
        self._snapshot: Snapshot | None = None
        self._stamp: object = None
        self._next_look = self._taken_at = 0.0
        self._reading = threading.Lock()
        self._importance: Mapping[str, Mapping[str, float]] = {}
        self._num_weighed = 0

    @property
    def snapshot(self) -> Snapshot | None:
        """The last snapshot; None if the study was not read yet."""
        return self._snapshot

    def read(self) -> Snapshot:
        """Return a snapshot that is about a second old at most, or older if reading takes long."""
        self.refresh(wait=True)
        assert self._snapshot is not None
        return self._snapshot

    def refresh(self, wait: bool = False) -> None:
        """Read the study again if it has changed. Without `wait`, return at once if another thread reads it."""
        if not self._reading.acquire(blocking=wait):
            return
        try:
            if self._snapshot is not None and time.monotonic() < self._next_look:
                return
            began = time.monotonic()
            stamp = self._stamp_now()
            if self._snapshot is None or stamp is None or stamp != self._stamp or self._may_have_died(began):
                self._snapshot, self._stamp, self._taken_at = self._taken(), stamp, began
            every = _REMOTE_EVERY_S if self.study.folder.is_remote else _LOOK_EVERY_S
            self._next_look = time.monotonic() + max(every, _REST * (time.monotonic() - began))
        finally:
            self._reading.release()

    def _may_have_died(self, now: float) -> bool:
        """True if the driver of a study at a URI was last looked for a while ago: its lock stays when it is killed."""
        status = self._snapshot.status if self._snapshot else None
        was_alive = status is not None and status.driver is not None
        return self.study.folder.is_remote and was_alive and now - self._taken_at > _DRIVER_EVERY_S

    def _stamp_now(self) -> object:
        """Return a value that changes when a record, a certificate or a driver comes or goes; None if unknown."""
        study = self.study
        try:
            names = sorted(study.ledger.names()), sorted(study.audits.names())
            held = study.lock.exists() if study.folder.is_remote else driver_of(study)
            return names, study.frozen.exists(), study.ended.exists(), held
        except (AnonTuneError, OSError):  # a store may be away
            return None

    def _taken(self) -> Snapshot:
        try:
            return self._whole()
        except (AnonTuneError, OSError) as error:
            problem = str(error) if isinstance(error, AnonTuneError) else f"{self.study}: cannot be read: {why(error)}."
        except Exception as error:  # a damaged study must not take the others with it
            traceback.print_exc()
            problem = f"{self.study}: cannot be shown: {type(error).__name__}: {error}."
        title = f"{text(self.study.name)} · anon-tune"
        summary = PageSection("summary", "", f'<p class="failed">{text(problem)}</p>')
        return Snapshot(title, (summary,), None, None, problem)

    def _whole(self) -> Snapshot:
        self.study.check()
        trials = Ledger(self.study.ledger).trials()
        shown = ShownStudy.of(self.study, trials, self._weighed(trials), self._media)
        problem = ""
        try:
            status = status_of(self.study, trials)
            extra = progress_html(status)
        except AnonTuneError as error:  # what the study found can be shown all the same
            status, problem = None, str(error)
            extra = f'<p class="failed">{text(problem)}</p>'
        sections = [study_summary(shown, extra), *study_sections(shown)]
        return Snapshot(page_title(shown), tuple(sections), shown, status, problem)

    def _weighed(self, trials: list[Trial]) -> Mapping[str, Mapping[str, float]]:
        """Return the importance of params, computed again once the complete trials are a tenth more."""
        known = importance_trials(trials)
        if len(known) > 1.1 * self._num_weighed:
            from anon_tune.search.importances import importance

            try:
                self._importance = importance(known, read_study(self.study)[0])
            except AnonTuneError:  # a page is worth showing without it
                self._importance = {}
            self._num_weighed = len(known)
        return self._importance
