"""Chooses the trial that a free worker gets."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from anon_tune.errors import RecipeError
from anon_tune.search.proposer import Proposer
from anon_tune.search.rung_brackets import RungBrackets
from anon_tune.search.space import SearchSpace
from anon_tune.study.records import Records
from anon_tune.trial import ANCHORS, Trial, TrialState


class Turns:
    """Chooses the next trial: an anchor, a trial whose worker was lost, a trial waiting at a rung, or a new trial.

    The identity anchor goes first and alone, because its scores are the ceilings of all other trials. Trials that wait
    at a rung go before new trials if they are good enough.

    Args:
        records: All trials. A trial that fails as it is proposed, or is never promoted, is recorded here.
        brackets: Receives the reports that the records have.
        space: What is searched.
        proposer: Proposes new trials.
        clock: Returns Unix time.
    """

    def __init__(
        self,
        records: Records,
        brackets: RungBrackets,
        space: SearchSpace,
        proposer: Proposer,
        clock: Callable[[], float],
    ) -> None:
        self._records, self._brackets, self._space, self._proposer = records, brackets, space, proposer
        self._clock = clock
        self._is_cut_short = False
        self._unfinished: list[str] = []
        for trial in records.by_end():  # in the order in which they came in the first time
            self._restore(trial)
        self._anchors = [name for name in ANCHORS if not records.is_complete(name)]
        for name in self._anchors:
            # Every new driver tries a failed anchor again, because a study cannot go on without its anchors.
            if name in records and records[name].state is TrialState.FAILED:
                kept = tuple(report for report in records[name].reports if report.score.is_finite)
                records.put(replace(records[name], state=TrialState.WAITING, reason="", reports=kept))
        # A driver that ended may have left numbers out, so the missing numbers are not always the last ones.
        known = {trial.number for trial in records.trials}
        self._numbers = deque(number for number in range(proposer.num_points) if number not in known)

    def _restore(self, trial: Trial) -> None:
        """Put a trial of an earlier driver back at its rung, or among the trials that wait or are unfinished."""
        for report in trial.reports:
            self._brackets.add(trial, report)
        self._brackets.learn(trial)
        waits = trial.is_paused and self._brackets.promotes
        for report in trial.reports[: -1 if waits else None]:
            self._brackets.climb(trial, report.rung)
        if trial.state.is_final or trial.is_anchor:
            return
        if waits:
            self._brackets.pause(trial)
        else:
            self._unfinished.append(trial.id)

    @property
    def stop_reason(self) -> str:
        """Why the study ended before its last trial, if a stop rule ended it; else empty."""
        return self._records.spending.reason if self._is_cut_short or self._numbers else ""

    @property
    def is_finished(self) -> bool:
        """True when no trial will be handed out any more."""
        return not self._anchors and not self._unfinished and self._is_proposed and not self._records.open

    @property
    def _is_proposed(self) -> bool:
        return not self._numbers or bool(self._records.spending.reason)

    def next(self) -> str | None:
        """Return the id of the trial whose turn it is; None while no trial can be handed out."""
        if self._anchors and (self._anchors[0] == ANCHORS[0] or self._records.is_complete(ANCHORS[0])):
            return self._begin_anchor(self._anchors.pop(0))
        if not self._records.is_complete(ANCHORS[0]):
            return None
        if not self._unfinished and not self._records.spending.reason and (promoted := self._brackets.promotable()):
            self._leave_rung(promoted)
            return promoted
        while not self._unfinished and not self._is_proposed:
            if (proposed := self._propose()) is not None:
                return proposed
        if not self._unfinished and self._is_proposed and self._records.open == set(self._brackets.paused):
            self._decide_about_waiting()
        return self._unfinished.pop(0) if self._unfinished else None

    def hand_out_again(self, trial_id: str) -> None:
        """Give a trial another turn, before any that is new."""
        if self._records[trial_id].is_anchor:
            self._anchors = sorted([*self._anchors, trial_id], key=ANCHORS.index)
        else:
            self._unfinished.append(trial_id)

    def _begin_anchor(self, name: str) -> str:
        if name not in self._records:
            fingerprint = self._space.recipe({}, method=name).fingerprint()
            self._records.put(Trial(name, -1, name, {}, fingerprint, TrialState.WAITING))
        return name

    def _propose(self) -> str | None:
        """Propose the next trial; None if the combination of its values is no valid recipe: the trial has failed."""
        number = self._numbers.popleft()
        trial_id = f"{number:04d}"
        params = self._proposer.ask(trial_id, number)
        method = self._space.method(params)
        trial = Trial(trial_id, number, method, params, "", TrialState.WAITING, started=self._clock())
        try:
            fingerprint = self._space.recipe(params).fingerprint()
        except RecipeError as error:  # each value is valid, but the combination is not
            self._records.write(replace(trial, state=TrialState.FAILED, reason=str(error)))
            return None
        self._records.put(replace(trial, fingerprint=fingerprint))
        return trial_id

    def _leave_rung(self, trial_id: str) -> Trial:
        trial = self._records[trial_id]
        self._brackets.climb(trial, trial.reports[-1].rung)
        return trial

    def _decide_about_waiting(self) -> None:
        """Decide about waiting trials when no new trials will come. Rungs with too few trials let all of them go on."""
        spent = self._records.spending.reason
        if not spent:
            while (trial_id := self._brackets.promotable(closing=True)) is not None:
                self._leave_rung(trial_id)
                self._unfinished.append(trial_id)
        for trial_id in [] if self._unfinished else self._brackets.paused:
            trial = self._leave_rung(trial_id)
            last = trial.reports[-1]
            verdict = self._brackets.verdict(trial, last)
            assert verdict is not None  # it waits at a rung
            self._is_cut_short = bool(spent)
            reason = spent or f"{verdict.reason(last.rung, last.step)}, never promoted"
            self._records.write(replace(trial, state=TrialState.PRUNED, reason=reason))
