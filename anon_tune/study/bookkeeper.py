"""Keeps the account of a study: who is next, what came back, who goes on. Knows nothing of Ray.

Every event passes through here once, in this order: ledger, Optuna, listener. So nothing is ever
known to Optuna or shown to anybody that a crash could take back.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from anon_tune.errors import RecipeError
from anon_tune.ledger import Ledger
from anon_tune.pareto import rung_agreement
from anon_tune.recipe import Recipe
from anon_tune.study.rungs import Verdict, decide
from anon_tune.study.sampler import Proposer, score_losses
from anon_tune.study.space import SearchSpace
from anon_tune.trial import ANCHORS, Ceilings, RungReport, Trial, TrialState


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a trial still has to do.

    Attributes:
        trial: Its id.
        recipe: Its recipe.
        levels: Steps of all rungs.
        todo: Indices of the rungs it has to reach, in order.
        ceilings: Of a rung score and of the full score; None for the identity anchor.
    """

    trial: str
    recipe: Recipe
    levels: tuple[int, ...]
    todo: tuple[int, ...]
    ceilings: tuple[Ceilings, Ceilings] | None


class Bookkeeper:
    """The driver's view of all trials.

    Args:
        ledger: Read once, appended to ever after.
        space: What is searched.
        proposer: Told of every trial the ledger knows.
        num_trials: Trials to propose, anchors not counted.
        rungs: Whether trials are measured, and may be stopped, before the last step.
        on_change: Called with all trials after every record.
    """

    def __init__(
        self,
        ledger: Ledger,
        space: SearchSpace,
        proposer: Proposer,
        num_trials: int,
        rungs: bool,
        on_change: Callable[[Sequence[Trial]], None] | None = None,
    ) -> None:
        self._ledger, self._space, self._proposer = ledger, space, proposer
        self._num_trials, self._rungs, self._on_change = num_trials, rungs, on_change
        self._trials = {trial.id: trial for trial in ledger.trials()}
        self._verdicts: dict[str, Verdict] = {}
        self._unfinished: list[str] = []
        self._num_losses: Counter[str] = Counter()
        for trial in self._trials.values():
            if trial.state.is_final:
                proposer.tell(trial)
        for trial in self._trials.values():
            if not trial.state.is_final and not trial.is_anchor:
                proposer.ask(trial.id, trial.params)
                self._unfinished.append(trial.id)
        self._anchors = [a for a in ANCHORS if not self._is_complete(a)]
        for name in self._anchors:
            # A failed anchor gets another try from every new driver: without it there is no study.
            if name in self._trials and self._trials[name].state is TrialState.FAILED:
                del self._trials[name]
        self._next = 1 + max((trial.number for trial in self._trials.values()), default=-1)
        proposer.prefer(space.first[self._next :])

    @property
    def trials(self) -> list[Trial]:
        """All trials, anchors first, then by number."""
        return sorted(self._trials.values(), key=lambda t: (t.number, t.id))

    @property
    def failed_anchor(self) -> Trial | None:
        """An anchor that failed; the study cannot go on without it."""
        return next((t for t in self._trials.values() if t.is_anchor and t.state is TrialState.FAILED), None)

    @property
    def is_finished(self) -> bool:
        """True when there is nothing left to hand out, and nothing that could come back."""
        handed_out = not self._anchors and not self._unfinished and self._next >= self._num_trials
        return handed_out and all(trial.state.is_final for trial in self._trials.values())

    def next(self) -> Assignment | None:
        """Hand out the next trial; None while there is none to hand out (yet).

        The identity anchor goes first and alone: its scores are the ceilings of all others.
        """
        if self._anchors and (self._anchors[0] == ANCHORS[0] or self._is_complete(ANCHORS[0])):
            return self._assign_anchor(self._anchors.pop(0))
        if not self._is_complete(ANCHORS[0]):
            return None
        if self._unfinished:
            return self._assign(self._unfinished.pop(0))
        if self._next >= self._num_trials:
            return None
        number, self._next = self._next, self._next + 1
        trial_id = f"{number:04d}"
        params = self._proposer.ask(trial_id)
        trial = Trial(trial_id, number, self._space.method(params), params, "", TrialState.WAITING, started=time.time())
        try:
            fingerprint = self._space.recipe(params).fingerprint()
        except RecipeError as error:  # values that are fine one by one and not together
            self._record(replace(trial, state=TrialState.FAILED, reason=str(error)))
            return self.next()
        self._trials[trial_id] = replace(trial, fingerprint=fingerprint)
        return self._assign(trial_id)

    def start(self, trial_id: str) -> None:
        """Record that a trial runs; a second start, after a worker died, is no news."""
        trial = self._trials[trial_id]
        if trial.state is TrialState.WAITING:
            self._record(replace(trial, state=TrialState.RUNNING, started=time.time()))

    def judge(self, report: RungReport) -> bool:
        """Return whether a trial goes on from a rung that is not its last.

        What nobody trains goes on and is nobody's measure: beside half-trained ones it is finished already.
        """
        trial = self._trials[report.trial]
        if not trial.is_trained or isinstance(self._space.study.rungs, bool):
            return True
        losses = {
            t.id: score_losses(r.score)
            for t in self._trials.values()
            for r in t.reports
            if r.rung == report.rung and not r.score.full and t.is_trained
        }
        losses[trial.id] = score_losses(report.score)
        verdict = decide(losses, trial.id, self._space.study.rungs.factor)
        self._verdicts[trial.id] = verdict
        return verdict.keep

    def receive(self, report: RungReport, failure: str = "") -> None:
        """Record a report, with the state it leads to; a rung reported twice counts once."""
        trial = self._trials[report.trial]
        if any(r.rung == report.rung for r in trial.reports):
            return
        verdict = self._verdicts.pop(trial.id, None)
        state, reason = TrialState.RUNNING, ""
        if failure:
            state, reason = TrialState.FAILED, failure
        elif report.score.full:
            state = TrialState.COMPLETE
        elif verdict is not None and not verdict.keep:
            state, reason = TrialState.PRUNED, verdict.reason(report.rung, report.step)
        seconds = trial.seconds + report.seconds
        reports = (*trial.reports, report)
        self._record(replace(trial, state=state, reason=reason, reports=reports, seconds=seconds), report)

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

    def _record(self, trial: Trial, report: RungReport | None = None) -> None:
        trial = replace(trial, ended=time.time())
        known = {**self._trials, trial.id: trial}
        agreement = rung_agreement([*known.values()]) if trial.state is TrialState.COMPLETE else None
        self._ledger.append(trial, report, agreement.correlation if agreement else None)
        self._trials[trial.id] = trial
        if trial.state.is_final:
            self._proposer.tell(trial)
        if self._on_change:
            self._on_change(self.trials)

    def _is_complete(self, trial_id: str) -> bool:
        return trial_id in self._trials and self._trials[trial_id].state is TrialState.COMPLETE

    def _assign_anchor(self, name: str) -> Assignment:
        if name not in self._trials:
            fingerprint = self._space.recipe({}, method=name).fingerprint()
            self._trials[name] = Trial(name, -1, name, {}, fingerprint, TrialState.WAITING)
        return self._assign(name)

    def _assign(self, trial_id: str) -> Assignment:
        trial = self._trials[trial_id]
        recipe = self._space.recipe(trial.params, method=trial.method)
        levels = self._space.levels(recipe, rungs=self._rungs)
        last = len(levels) - 1
        # What is not trained does not change: one rung score and the full score say it all.
        plan = range(last + 1) if trial.is_trained else sorted({0, last})
        done = {r.rung for r in trial.reports}
        todo = tuple(rung for rung in plan if rung not in done)
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
