"""Keeps the account of a study: who is next, what came back, who goes on. Knows nothing of Ray.

Every event passes through here once, in this order: ledger, Optuna, listener. So nothing is ever
known to Optuna or shown to anybody that a crash could take back.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from anon_tune.errors import AnonTuneError, RecipeError
from anon_tune.ledger import Ledger
from anon_tune.methods import is_trained
from anon_tune.pareto import rung_agreement
from anon_tune.search.proposer import Proposer
from anon_tune.search.rung_brackets import Ladder
from anon_tune.search.rungs import Verdict
from anon_tune.search.space import SearchSpace
from anon_tune.study.assignment import Assignment
from anon_tune.study.settings import StudySettings
from anon_tune.study.spending import Prices, Spending
from anon_tune.study.watchers import Watchers
from anon_tune.trial import ANCHORS, Ceilings, LostJob, RungReport, Trial, TrialState

_MOST_COMPARED = 500  # complete trials behind the agreement of rungs and full scores


class Bookkeeper:
    """The driver's view of all trials.

    Args:
        ledger: Read once, appended to ever after.
        space: What is searched.
        proposer: Told of every trial the ledger knows.
        settings: Number of trials, seed, stop rules, and whether rungs are in use.
        prices: What a job costs.
        on_change: Called with all trials after every record.
        clock: Unix time.
        watchers: Told of every record.
        on_end: Called with every trial that is over, when the ledger has it.
    """

    def __init__(
        self,
        ledger: Ledger,
        space: SearchSpace,
        proposer: Proposer,
        settings: StudySettings,
        prices: Prices | None = None,
        on_change: Callable[[Sequence[Trial]], None] | None = None,
        clock: Callable[[], float] = time.time,
        on_end: Callable[[Trial], None] | None = None,
        watchers: Watchers | None = None,
    ) -> None:
        self._ledger, self._space, self._proposer, self._prices = ledger, space, proposer, prices or Prices()
        self._rungs, self._on_change, self._clock, self._on_end = settings.rungs, on_change, clock, on_end
        self._watchers = watchers or Watchers()
        self._num_trials = proposer.num_points
        rungs = space.study.rungs if settings.rungs and space.study.rungs else None
        self._ladder = Ladder(rungs, space.study.constraints, settings.seed)
        self._spending = Spending(settings.stop, clock)
        self._is_cut = False
        self._trials = {trial.id: _without_curves(trial) for trial in ledger.trials()}
        self._open = {trial.id for trial in self._trials.values() if not trial.state.is_final}
        self.error: AnonTuneError | None = None  # why nothing more can be recorded
        self._verdicts: dict[str, Verdict] = {}
        self._recent: deque[Trial] = deque(maxlen=_MOST_COMPARED)
        self._unfinished: list[str] = []
        self._num_losses: Counter[str] = Counter()
        self._spending.begin(*(trial.started for trial in self._trials.values() if not trial.is_anchor))
        for trial in sorted(self._trials.values(), key=lambda t: t.ended):  # as they came in the first time
            self._take_up(trial)
        self._anchors = [a for a in ANCHORS if not self._is_complete(a)]
        for name in self._anchors:
            # A failed anchor gets another try from every new driver: without it there is no study.
            failed = self._trials.get(name)
            if failed is not None and failed.state is TrialState.FAILED:
                kept = tuple(report for report in failed.reports if report.score.is_finite)
                self._trials[name] = replace(failed, state=TrialState.WAITING, reason="", reports=kept)
        self._open -= set(self._anchors)
        # Trials need not start in the order of their numbers: a driver that ends may leave some out.
        known = {trial.number for trial in self._trials.values()}
        self._numbers = deque(number for number in range(self._num_trials) if number not in known)

    def _take_up(self, trial: Trial) -> None:
        """Learn what the ledger knows of a trial, and put it where an earlier driver had it."""
        self._spending.add(trial.cost)
        for report in trial.reports:
            self._ladder.add(trial, report)
        if trial.state is TrialState.COMPLETE:
            self._recent.append(trial)
        waits = trial.state is TrialState.WAITING and self._ladder.promotes and bool(trial.reports)
        for report in trial.reports[: -1 if waits else None]:
            self._ladder.climb(trial, report.rung)
        if trial.state.is_final:
            self._end(trial)
        elif not trial.is_anchor:
            self._proposer.begin(trial.id, trial.params)
            if trial.reports:
                self._proposer.tell(trial)
            if waits:
                self._ladder.pause(trial)
            else:
                self._unfinished.append(trial.id)

    @property
    def trials(self) -> list[Trial]:
        """All trials, anchors first, then by number."""
        anchors = sorted(name for name in ANCHORS if name in self._trials)
        return [self._trials[name] for name in anchors] + [t for t in self._trials.values() if t.number >= 0]

    @property
    def failed_anchor(self) -> Trial | None:
        """An anchor that failed; the study cannot go on without it."""
        anchors = (self._trials.get(name) for name in ANCHORS)
        return next((t for t in anchors if t is not None and t.state is TrialState.FAILED), None)

    @property
    def stop_reason(self) -> str:
        """Why the study ended before its last trial, if a stop rule ended it; else empty."""
        return self._spending.reason if self._is_cut or self._numbers else ""

    @property
    def is_finished(self) -> bool:
        """True when there is nothing left to hand out, and nothing that could come back."""
        return not self._anchors and not self._unfinished and self._is_proposed and not self._open

    @property
    def _is_proposed(self) -> bool:
        return not self._numbers or bool(self._spending.reason)

    def next(self) -> Assignment | None:
        """Hand out the next trial; None while there is none to hand out (yet).

        The identity anchor goes first and alone: its scores are the ceilings of all others. Then what was begun
        and lost, then who waits at a rung and is good enough, then new ones.
        """
        if self._anchors and (self._anchors[0] == ANCHORS[0] or self._is_complete(ANCHORS[0])):
            return self._assign_anchor(self._anchors.pop(0))
        if not self._is_complete(ANCHORS[0]):
            return None
        if not self._unfinished and not self._spending.reason and (waits := self._ladder.promotable()):
            self._leave_rung(waits)
            return self._assign(waits)
        while not self._unfinished and not self._is_proposed:
            trial_id = self._propose()
            if trial_id is not None:
                return self._assign(trial_id)
        if not self._unfinished and self._is_proposed and self._open == set(self._ladder.paused):
            self._close()
        return self._assign(self._unfinished.pop(0)) if self._unfinished else None

    def start(self, trial_id: str) -> None:
        """Record that a trial runs; a second start, after a worker died, is no news."""
        trial = self._trials[trial_id]
        if trial.state is TrialState.WAITING:
            started = trial.started if trial.reports else self._clock()
            if not trial.is_anchor and not trial.reports:
                self._spending.begin(started)
            self._record(replace(trial, state=TrialState.RUNNING, started=started))

    def judge(self, report: RungReport) -> bool:
        """Return whether a trial goes on from a rung that is not its last."""
        trial = self._trials[report.trial]
        if _has(trial, report):
            return True
        self._ladder.add(trial, report)
        if self._ladder.promotes or (verdict := self._ladder.verdict(trial, report)) is None:
            return True
        self._verdicts[trial.id] = verdict
        return verdict.keep

    def receive(self, report: RungReport, failure: str = "") -> None:
        """Record a report, with the state it leads to; a rung reported twice counts once."""
        trial = self._trials[report.trial]
        if trial.state.is_final or _has(trial, report):
            return
        violation = 0.0 if trial.is_anchor else self._space.study.constraints.violation(report.score)
        cost = self._prices.cost(report.node, report.seconds)
        report = replace(report, cost=cost, violation=violation, ended=self._clock())
        self._ladder.add(trial, report)
        self._spending.add(cost)
        verdict = self._verdicts.pop(trial.id, None)
        state, reason = TrialState.RUNNING, ""
        if failure:
            state, reason = TrialState.FAILED, failure
        elif report.score.full:
            state = TrialState.COMPLETE
        elif self._ladder.promotes and is_trained(trial.method):
            state = TrialState.WAITING
            self._ladder.pause(trial)
        elif verdict is not None and not verdict.keep:
            state, reason = TrialState.PRUNED, verdict.reason(report.rung, report.step)
        reports = (*trial.reports, replace(report, curve=()))
        seconds = trial.seconds + report.seconds
        self._record(replace(trial, state=state, reason=reason, reports=reports, seconds=seconds), report)

    def know(self, node: str) -> None:
        """Take note that a job runs on a node, whose price is to be known if it goes."""
        self._prices.know(node)

    def waste(self, trial_id: str, seconds: float, node: str) -> None:
        """Record a job that ended without a report; what it cost is spent."""
        trial = self._trials[trial_id]
        if not trial.state.is_final:
            job = LostJob(seconds, node, self._prices.cost(node, seconds), self._clock())
            self._spending.add(job.cost)
            self._record(replace(trial, lost=(*trial.lost, job)), lost=job)

    def lose(self, trial_id: str, reason: str, max_losses: int) -> None:
        """Hand a trial out again whose worker was lost before it could start, or fail it after too many losses."""
        if self._trials[trial_id].state.is_final:
            return
        self._num_losses[trial_id] += 1
        if self._num_losses[trial_id] > max_losses:
            self.fail(trial_id, reason)
        elif self._trials[trial_id].is_anchor:
            self._anchors = sorted([*self._anchors, trial_id], key=ANCHORS.index)
        else:
            self._unfinished.append(trial_id)

    def fail(self, trial_id: str, reason: str) -> None:
        """Record that a trial failed without a report; one that is over stays as it is."""
        if self._trials[trial_id].state.is_final:
            return
        self._record(replace(self._trials[trial_id], state=TrialState.FAILED, reason=reason))

    def _record(self, trial: Trial, report: RungReport | None = None, lost: LostJob | None = None) -> None:
        trial = replace(trial, ended=self._clock())
        agreement = None
        if trial.state is TrialState.COMPLETE:
            self._recent.append(trial)
            agreement = rung_agreement(self._recent)
        try:
            if lost is not None:
                self._ledger.append_lost(trial, lost)
            else:
                self._ledger.append(trial, report, agreement.correlation if agreement else None)
            self._trials[trial.id] = trial
            if trial.state.is_final:
                self._end(trial)
                if self._on_end:
                    self._on_end(trial)
            elif report is not None:
                self._proposer.tell(trial)
        except AnonTuneError as error:
            self.error = error
            raise
        self._watchers.see(trial, report)
        if self._on_change:
            self._on_change(self.trials)

    def _end(self, trial: Trial) -> None:
        self._open.discard(trial.id)
        self._spending.end(trial)
        self._proposer.tell(trial)

    def _is_complete(self, trial_id: str) -> bool:
        return trial_id in self._trials and self._trials[trial_id].state is TrialState.COMPLETE

    def _propose(self) -> str | None:
        """Make the next trial; None if its values do not go together, which fails it."""
        number = self._numbers.popleft()
        trial_id = f"{number:04d}"
        params = self._proposer.ask(trial_id, number)
        method = self._space.method(params)
        trial = Trial(trial_id, number, method, params, "", TrialState.WAITING, started=self._clock())
        try:
            fingerprint = self._space.recipe(params).fingerprint()
        except RecipeError as error:  # values that are fine one by one and not together
            self._record(replace(trial, state=TrialState.FAILED, reason=str(error)))
            return None
        self._trials[trial_id] = replace(trial, fingerprint=fingerprint)
        self._open.add(trial_id)
        return trial_id

    def _leave_rung(self, trial_id: str) -> Trial:
        trial = self._trials[trial_id]
        self._ladder.climb(trial, trial.reports[-1].rung)
        return trial

    def _close(self) -> None:
        """Settle who still waits when nobody else will come: rungs too small to decide let all go on."""
        if not self._spending.reason:
            while (trial_id := self._ladder.promotable(closing=True)) is not None:
                self._leave_rung(trial_id)
                self._unfinished.append(trial_id)
        for trial_id in [] if self._unfinished else self._ladder.paused:
            trial = self._leave_rung(trial_id)
            last = trial.reports[-1]
            verdict = self._ladder.verdict(trial, last)
            assert verdict is not None  # it waits at a rung
            self._is_cut = bool(self._spending.reason)
            reason = self._spending.reason or f"{verdict.reason(last.rung, last.step)}, never promoted"
            self._record(replace(trial, state=TrialState.PRUNED, reason=reason))

    def _assign_anchor(self, name: str) -> Assignment:
        if name not in self._trials:
            fingerprint = self._space.recipe({}, method=name).fingerprint()
            self._trials[name] = Trial(name, -1, name, {}, fingerprint, TrialState.WAITING)
        self._open.add(name)
        return self._assign(name)

    def _assign(self, trial_id: str) -> Assignment:
        trial = self._trials[trial_id]
        recipe = self._space.recipe(trial.params, method=trial.method)
        levels = self._space.levels(recipe, rungs=self._rungs)
        last = len(levels) - 1
        # What is not trained does not change: one rung score and the full score say it all.
        first = min(self._ladder.bracket(trial), last)
        plan = range(first, last + 1) if is_trained(trial.method) else sorted({0, last})
        done = {r.rung for r in trial.reports}
        todo = tuple(rung for rung in plan if rung not in done)
        if self._ladder.promotes and is_trained(trial.method):
            todo = todo[:1]
        return Assignment(trial_id, recipe, levels, todo, self._ceilings(trial_id))

    def _ceilings(self, trial_id: str) -> tuple[Ceilings, Ceilings] | None:
        if trial_id == ANCHORS[0]:
            return None
        scores = {r.score.full: r.score for r in self._trials[ANCHORS[0]].reports}
        full, rung = scores[True], scores.get(False, scores[True])
        return (
            Ceilings(rung.leakage.value, rung.accuracy.value),
            Ceilings(full.leakage.value, full.accuracy.value),
        )


def _has(trial: Trial, report: RungReport) -> bool:
    """True if the trial was measured at the report's rung before."""
    return any(known.rung == report.rung for known in trial.reports)


def _without_curves(trial: Trial) -> Trial:
    """Return a trial without what only the report draws: a driver keeps thousands of them."""
    return replace(trial, reports=tuple(replace(report, curve=()) for report in trial.reports))
