"""The bookkeeper of a study decides which trial is next and which trials go on. It does not use Ray."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from anon_tune.ledger import Ledger
from anon_tune.methods import is_trained
from anon_tune.search.proposer import Proposer
from anon_tune.search.rung_brackets import RungBrackets
from anon_tune.search.space import SearchSpace
from anon_tune.study.assignment import Assignment, Decision, why_not_finite
from anon_tune.study.privacy import EpsilonLimit
from anon_tune.study.records import Records
from anon_tune.study.settings import StudySettings
from anon_tune.study.spending import Prices, Spending
from anon_tune.study.turns import Turns
from anon_tune.study.watchers import Watchers
from anon_tune.trial import ANCHORS, Ceilings, LostJob, RungReport, Trial, TrialState


class Bookkeeper:
    """The desk of a study, see `anon_tune.study.desk`. Every event passes through it once and ends up in the `Records`.

    Args:
        ledger: Read once at the start, then only appended to.
        space: The search space.
        proposer: Receives every trial in the ledger.
        settings: Number of trials, seed, stop rules, and whether rungs are used.
        prices: Computes the cost of a job.
        on_change: Called with all trials after every record.
        clock: Returns Unix time.
        on_end: Called with every trial that is over, after it was written to the ledger.
        watchers: Receive every record.
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
        self._space, self._prices, self._clock = space, prices or Prices(), clock
        self._uses_rungs = settings.rungs
        rungs = space.study.rungs if settings.rungs and space.study.rungs else None
        self._brackets = RungBrackets(rungs, space.study.constraints, settings.seed)
        self._spending = Spending(settings.stop, clock)
        self._records = Records(ledger, proposer, self._spending, clock, on_change, on_end, watchers)
        limit = EpsilonLimit(space, settings)
        self._spending.epsilon_spent = lambda: limit.reason(self._records.trials)
        self._turns = Turns(self._records, self._brackets, space, proposer, clock)
        self._num_losses: Counter[str] = Counter()

    @property
    def trials(self) -> list[Trial]:
        """All trials, anchors first, then by number."""
        return self._records.trials

    @property
    def failed_anchor(self) -> Trial | None:
        """An anchor that failed; the study cannot go on without it."""
        return self._records.failed_anchor

    @property
    def stop_reason(self) -> str:
        """Why the study ended before its last trial, if a stop rule ended it; else empty."""
        return self._turns.stop_reason

    @property
    def is_finished(self) -> bool:
        """True when there is nothing left to hand out, and nothing that could come back."""
        return self._turns.is_finished

    @property
    def is_hopeless(self) -> bool:
        """True when an anchor failed."""
        return self.failed_anchor is not None

    def next(self) -> Assignment | None:
        """Hand out the next trial; None if there is none at the moment."""
        trial_id = self._turns.next()
        return None if trial_id is None else self.remaining(trial_id)

    def start(self, trial_id: str) -> None:
        """Record that a trial runs. A second start, after its worker died, changes nothing."""
        trial = self._records[trial_id]
        if trial.state is TrialState.WAITING:
            started = trial.started if trial.reports else self._clock()
            self._records.write(replace(trial, state=TrialState.RUNNING, started=started))

    def decide(self, report: RungReport) -> Decision:
        """Record a report with the trial's new state, and return the decision. A rung reported twice counts once."""
        trial = self._records[report.trial_id]
        if not trial.state.is_final and all(known.rung != report.rung for known in trial.reports):
            trial = self._record(trial, report)
        if trial.state.is_final:
            return Decision.STOP
        return Decision.WAIT if trial.state is TrialState.WAITING else Decision.GO_ON

    def record_node(self, node: str) -> None:
        """Keep the price of a node that a job runs on, because the node may be lost before the job ends."""
        self._prices.remember(node)

    def record_lost_job(self, trial_id: str, seconds: float, node: str) -> None:
        """Record a job that ended without a report. Its cost counts as spent."""
        trial = self._records[trial_id]
        if not trial.state.is_final:
            job = LostJob(seconds, node, self._prices.cost(node, seconds), self._clock())
            self._records.write(replace(trial, lost=(*trial.lost, job)), lost=job)

    def hand_out_again(self, trial_id: str, reason: str, max_losses: int) -> None:
        """Hand out a trial again if its worker was lost before it started; fail the trial after too many losses."""
        if self._records[trial_id].state.is_final:
            return
        self._num_losses[trial_id] += 1
        if self._num_losses[trial_id] > max_losses:
            self.fail(trial_id, reason)
        else:
            self._turns.hand_out_again(trial_id)

    def fail(self, trial_id: str, reason: str) -> None:
        """Record that a trial failed without a report. A trial that is already over does not change."""
        trial = self._records[trial_id]
        if not trial.state.is_final:
            self._records.write(replace(trial, state=TrialState.FAILED, reason=reason))

    def remaining(self, trial_id: str) -> Assignment:
        """Return the rungs that a trial still has to reach: those without a report in the ledger."""
        trial = self._records[trial_id]
        recipe = self._space.recipe(trial.params, method=trial.method)
        levels = self._space.levels(recipe, rungs=self._uses_rungs)
        last = len(levels) - 1
        # A closed-form method does not change with training, so one rung score and the full score are enough.
        first = min(self._brackets.bracket(trial), last)
        plan = range(first, last + 1) if is_trained(trial.method) else sorted({0, last})
        done = {report.rung for report in trial.reports}
        todo = [k for k in plan if k not in done and (k == last or not self._brackets.is_left_out(trial, k))]
        return Assignment.of_rungs(trial_id, recipe, levels, todo, self._ceilings(trial_id))

    def _record(self, trial: Trial, report: RungReport) -> Trial:
        violation = self._space.study.constraints.violation(report.score)
        cost = self._prices.cost(report.node, report.seconds)
        report = replace(report, cost=cost, violation=violation, ended=self._clock())
        self._brackets.add(trial, report)
        state, reason = self._judge(trial, report)
        reports = (*trial.reports, replace(report, curve=()))
        seconds = trial.seconds + report.seconds
        after = replace(trial, state=state, reason=reason, reports=reports, seconds=seconds)
        self._brackets.learn(after)
        return self._records.write(after, report)

    def _judge(self, trial: Trial, report: RungReport) -> tuple[TrialState, str]:
        """Return the trial's state after a report, and the reason for it."""
        if failure := why_not_finite(report):
            return TrialState.FAILED, failure
        if report.score.full:
            return TrialState.COMPLETE, ""
        if self._brackets.promotes and is_trained(trial.method):
            self._brackets.pause(trial)
            return TrialState.WAITING, ""
        verdict = self._brackets.verdict(trial, report)
        if verdict is None or verdict.keep:
            return TrialState.RUNNING, ""
        return TrialState.PRUNED, verdict.reason(report.rung, report.step)

    def _ceilings(self, trial_id: str) -> tuple[Ceilings, Ceilings] | None:
        if trial_id == ANCHORS[0]:
            return None
        scores = {report.score.full: report.score for report in self._records[ANCHORS[0]].reports}
        full, rung = scores[True], scores.get(False, scores[True])
        return Ceilings.of(rung), Ceilings.of(full)
