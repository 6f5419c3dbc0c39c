"""The current state of all trials of a study, and the only way to change it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from anon_tune.ledger import Ledger
from anon_tune.pareto import rung_agreement
from anon_tune.search.proposer import Proposer
from anon_tune.study.spending import Spending
from anon_tune.study.watchers import Watchers
from anon_tune.trial import ANCHORS, LostJob, RungReport, Trial, TrialState

_MOST_COMPARED = 500  # most recent complete trials from which the agreement of rungs and full scores is computed


class Records:
    """Keeps all trials, and writes every change in this order: ledger, Optuna, listeners.

    Optuna and the listeners therefore never see a change that a crash could undo.

    Args:
        ledger: Read once at the start, then only appended to.
        proposer: Receives every trial in the ledger.
        spending: Receives the cost of every job.
        clock: Returns Unix time.
        on_change: Called with all trials after every record.
        on_end: Called with every trial that is over, after it was written to the ledger.
        watchers: Receive every record.
    """

    def __init__(
        self,
        ledger: Ledger,
        proposer: Proposer,
        spending: Spending,
        clock: Callable[[], float],
        on_change: Callable[[Sequence[Trial]], None] | None = None,
        on_end: Callable[[Trial], None] | None = None,
        watchers: Watchers | None = None,
    ) -> None:
        self._ledger, self._proposer, self.spending, self._clock = ledger, proposer, spending, clock
        self._on_change, self._on_end, self._watchers = on_change, on_end, watchers or Watchers()
        self._trials = {trial.id: _without_curves(trial) for trial in ledger.trials()}
        self._open = {trial.id for trial in self._trials.values() if not trial.state.is_final}
        self._recent: deque[Trial] = deque(maxlen=_MOST_COMPARED)
        for trial in self.by_end():
            spending.add(trial.cost)
            if trial.state is TrialState.COMPLETE:
                self._recent.append(trial)
            if not trial.is_anchor and not trial.state.is_final:
                proposer.begin(trial.id, trial.params)
            if trial.state.is_final or trial.is_paused:
                spending.end(trial)
            if trial.state.is_final or (trial.reports and not trial.is_anchor):
                proposer.tell(trial)

    def __getitem__(self, trial_id: str) -> Trial:
        """Return a trial."""
        return self._trials[trial_id]

    def __contains__(self, trial_id: str) -> bool:
        """True if there is a trial of this id."""
        return trial_id in self._trials

    @property
    def trials(self) -> list[Trial]:
        """All trials, anchors first, then by number."""
        return sorted(self._trials.values(), key=lambda trial: (trial.number, trial.id))

    @property
    def open(self) -> set[str]:
        """Ids of all trials that are not over."""
        return set(self._open)

    def by_end(self) -> list[Trial]:
        """Return all trials in the order in which they were last recorded."""
        return sorted(self._trials.values(), key=lambda trial: trial.ended)

    def is_complete(self, trial_id: str) -> bool:
        """True if a trial has its full score."""
        return trial_id in self and self[trial_id].state is TrialState.COMPLETE

    @property
    def failed_anchor(self) -> Trial | None:
        """An anchor that failed; None if no anchor did."""
        anchors = (self._trials.get(name) for name in ANCHORS)
        return next((t for t in anchors if t is not None and t.state is TrialState.FAILED), None)

    def put(self, trial: Trial) -> None:
        """Add a trial that has no record yet, or an anchor that is tried again."""
        self._trials[trial.id] = trial
        self._open.add(trial.id)

    def write(self, trial: Trial, report: RungReport | None = None, lost: LostJob | None = None) -> Trial:
        """Record the current state of a trial.

        Args:
            trial: The trial.
            report: The report that led to this state, if there was one.
            lost: The job without a report that led to this state, if there was one.

        Returns:
            The trial as it was recorded.

        Raises:
            StudyError: The ledger or Optuna's storage can no longer be written.
        """
        trial = replace(trial, ended=self._clock())
        for job in (report, lost):
            if job is not None:
                self.spending.add(job.cost)
        agreement = None
        if trial.state is TrialState.COMPLETE:
            self._recent.append(trial)
            agreement = rung_agreement(self._recent)
        if lost is not None:
            self._ledger.append_lost(trial, lost)
        else:
            self._ledger.append(trial, report, agreement.correlation if agreement else None)
        self._trials[trial.id] = trial
        if trial.state.is_final or trial.is_paused:
            self.spending.end(trial)
        if trial.state.is_final:
            self._open.discard(trial.id)
            self._proposer.tell(trial)
            if self._on_end:
                self._on_end(trial)
        elif report is not None:
            self._proposer.tell(trial)
        self._watchers.see(trial, report)
        if self._on_change:
            self._on_change(self.trials)
        return trial


def _without_curves(trial: Trial) -> Trial:
    """Return a trial without its loss curves. Only the report needs them, and a driver keeps thousands of trials."""
    return replace(trial, reports=tuple(replace(report, curve=()) for report in trial.reports))
