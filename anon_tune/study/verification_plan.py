"""Plans the measurement of trials with new seeds: which repeats are missing, which is next, where results go."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from anon_tune.errors import StudyError
from anon_tune.ledger import Ledger
from anon_tune.ledger.one_kind import of_one_kind
from anon_tune.methods import is_trained
from anon_tune.pareto import FEWEST_REPEATS, EmptyFront, front_candidates, repeats_needed
from anon_tune.recipe import Recipe
from anon_tune.search.space import SearchSpace
from anon_tune.study.assignment import Assignment, Decision
from anon_tune.study.lock import Hold
from anon_tune.study_directory import StudyDirectory
from anon_tune.trial import ANCHORS, Ceilings, Repeat, RungJob, RungReport, Trial


@dataclass(frozen=True, slots=True)
class VerifyStep:
    """Progress of a verification after a repeat has arrived.

    Attributes:
        trial_id: Id of the trial that was measured.
        repeat: The measurement.
        done: Repeats of this run so far.
        total: Repeats of this run that are known so far; more may follow once means are compared.
        left_s: Estimate of the seconds left.
    """

    trial_id: str
    repeat: Repeat
    done: int
    total: int
    left_s: float


class VerificationPlan:
    """Which repeats are left to measure, and where results are recorded.

    Args:
        study: The study directory.
        hold: The driver's lock.
        space: The search space of the study.
        seed: Seed of the study.
        num_seeds: Number of repeats that every candidate should have; None to measure three of each, and then as many
            as `repeats_needed` finds.
        retrain: Train every repeat from scratch.

    Raises:
        StudyError: There is nothing to verify, or its repeats were trained anew and ``retrain`` is false.

    Attributes:
        ledger: Of the study.
        failures: Reason for each repeat that could not be measured, by trial and number of the repeat.
    """

    def __init__(
        self, study: StudyDirectory, hold: Hold, space: SearchSpace, seed: int, num_seeds: int | None, retrain: bool
    ) -> None:
        self.study, self.ledger = study, Ledger(study.ledger, hold.check)
        self.failures: dict[tuple[str, int], str] = {}
        self._space, self._seed, self._num_seeds, self._retrain = space, seed, num_seeds, retrain
        self._trials = {trial.id: trial for trial in self.ledger.trials()}
        where, empty = str(study), EmptyFront.of(self.trials)
        if empty is not None:
            raise StudyError(where, f"nothing to verify: {empty.reason}", remedy=empty.remedy)
        if ANCHORS[0] not in {t.id for t in front_candidates(self.trials)}:
            remedy = "Let the study go on: anon-tune resume"
            raise StudyError(where, f"nothing to verify: the anchor '{ANCHORS[0]}' has no full score", remedy=remedy)
        if not retrain and any(self._is_retrained(t, r) for t in self.trials for r in t.repeats):
            rule = "its repeats were trained anew and do not compare with repeats that were only measured"
            raise StudyError(where, rule, remedy="Add --retrain")

    @property
    def trials(self) -> list[Trial]:
        """All trials as they are now."""
        return [*self._trials.values()]

    def todo(self) -> list[tuple[str, int]]:
        """Return trial and number of every repeat that is missing: the identity anchor's, then seed by seed.

        Raises:
            StudyError: The weights of a trial are gone.
        """
        missing = self._missing(FEWEST_REPEATS if self._num_seeds is None else self._num_seeds)
        if self._num_seeds is None and not missing and (needed := repeats_needed(self.trials)):
            failed = {trial_id for trial_id, _ in self.failures}  # they lack some of the first repeats
            missing = [pair for pair in self._missing(needed.count) if pair[0] not in failed]
        for trial_id in {trial_id for trial_id, _ in missing}:
            self._weights(self._trials[trial_id])
        return sorted(missing, key=in_order)

    def is_ready(self, trial_id: str, number: int) -> bool:
        """True if a repeat can start: the ceilings of its seed are known."""
        return trial_id == ANCHORS[0] or number in self._ceilings()

    def job(self, trial_id: str, number: int) -> RungJob:
        """Return the job of a repeat that is ready, without its directory."""
        trial = self._trials[trial_id]
        recipe, last = self._recipe(trial, number), trial.reports[-1]
        return RungJob(
            trial_id=trial_id,
            recipe=recipe,
            directory="",
            rung=last.rung,
            step=last.step,
            full=True,
            ceilings=None if trial_id == ANCHORS[0] else self._ceilings()[number],
            weights=self._weights(trial),
        )

    def repeat_id(self, trial_id: str, number: int) -> str:
        """Return the id of a repeat: the name of its directory below that of all trials."""
        return f"{trial_id}/{self.study.trial(trial_id).repeat(number).folder.name}"

    def receive(self, trial_id: str, number: int, answer: RungReport | str) -> Repeat | None:
        """Record a repeat, or keep the reason why there is none."""
        trial = self._trials[trial_id]
        if not (self._retrain and is_trained(trial.method)):
            with suppress(OSError):
                self.study.trials.remove(self.repeat_id(trial_id, number))
        if isinstance(answer, str):
            self.failures[trial_id, number] = answer
            return None
        repeat = Repeat(number, self._recipe(trial, number).training.seed, answer.score)
        self.ledger.append_repeat(trial, repeat)
        others = tuple(r for r in trial.repeats if r.number != number)
        repeats = tuple(sorted((*others, repeat), key=lambda r: r.number))
        self._trials[trial_id] = replace(trial, repeats=repeats)
        self._trials = {trial.id: trial for trial in of_one_kind(self.trials)}  # as who reads the ledger sees it
        return repeat

    def _ceilings(self) -> dict[int, Ceilings]:
        return {r.number: Ceilings.of(r.score) for r in self._trials[ANCHORS[0]].repeats}

    def _weights(self, trial: Trial) -> str:
        if self._retrain or not is_trained(trial.method):
            return ""
        weights = self.study.weights(trial.reports[-1].weights)
        if not weights.exists():
            remedy = "Put it back, or train again with --retrain"
            raise StudyError(f"trial {trial.id}", f"its weights are missing: {weights}", remedy=remedy)
        return weights.location

    def _missing(self, num_seeds: int) -> list[tuple[str, int]]:
        return [
            (trial.id, number)
            for trial in front_candidates(self.trials)
            for number in self._unmeasured(trial, num_seeds)
            if (trial.id, number) not in self.failures
        ]

    def _unmeasured(self, trial: Trial, num_seeds: int) -> list[int]:
        anew = self._retrain and is_trained(trial.method)
        have = {r.number for r in trial.repeats if not anew or self._is_retrained(trial, r)}
        return [number for number in range(1, num_seeds + 1) if number not in have]

    def _recipe(self, trial: Trial, number: int) -> Recipe:
        """Return the trial's recipe with the seeds of a repeat."""
        recipe = self._space.recipe(trial.params, method=trial.method)
        measuring, training = np.random.SeedSequence([self._seed, number]).generate_state(2).tolist()
        parts: dict[str, Any] = {"evaluation": recipe.evaluation.model_copy(update={"seed": measuring})}
        if self._retrain and is_trained(trial.method):
            parts["training"] = recipe.training.model_copy(update={"seed": training})
        return recipe.model_copy(update=parts)

    def _is_retrained(self, trial: Trial, repeat: Repeat) -> bool:
        return repeat.training_seed != self._space.recipe(trial.params, method=trial.method).training.seed


def in_order(repeat: tuple[str, int]) -> tuple[bool, int]:
    """Order repeats, each a trial and a number: those of the identity anchor first, then seed by seed."""
    trial_id, number = repeat
    return trial_id != ANCHORS[0], number


class VerificationDesk:
    """The desk of a verification, see `anon_tune.study.desk`: every assignment is one repeat.

    It works in passes. Means are compared only when every candidate has all of its repeats.

    Args:
        plan: Says what is missing, and keeps what arrives.
        on_step: Called after every repeat.
        clock: Seconds.
    """

    def __init__(
        self,
        plan: VerificationPlan,
        on_step: Callable[[VerifyStep], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan, self._on_step, self._clock = plan, on_step, clock
        self._waiting: list[tuple[str, int]] = []
        self._again: list[str] = []
        self._open: dict[str, tuple[str, int]] = {}
        self._num_losses: Counter[str] = Counter()
        self._started, self._done = clock(), 0

    @property
    def is_finished(self) -> bool:
        """True when no repeat is left, or when all that are left wait for ceilings that could not be measured."""
        return not self._open and self._ready() is None

    @property
    def is_hopeless(self) -> bool:
        """Always False, because all other repeats are still measured if one fails."""
        return False

    def next(self) -> Assignment | None:
        """Hand out a repeat whose ceilings are known; None while there is none."""
        if self._again:
            return self.remaining(self._again.pop(0))
        ready = self._ready()
        if ready is None:
            return None
        self._waiting.remove(ready)
        trial_id, number = ready
        repeat_id = self._plan.repeat_id(trial_id, number)
        self._open[repeat_id] = ready
        return self.remaining(repeat_id)

    def start(self, trial_id: str) -> None:
        """Do nothing: the ledger records only finished repeats."""

    def decide(self, report: RungReport) -> Decision:
        """Record a repeat; its worker is free."""
        if report.trial_id in self._open:
            self._end(report.trial_id, report)
        return Decision.STOP

    def fail(self, trial_id: str, reason: str) -> None:
        """Keep the reason why a repeat could not be measured."""
        if trial_id in self._open:
            self._end(trial_id, reason)

    def remaining(self, trial_id: str) -> Assignment:
        """Return the assignment of a repeat that was handed out."""
        return Assignment(trial_id, (self._plan.job(*self._open[trial_id]),))

    def hand_out_again(self, trial_id: str, reason: str, max_losses: int) -> None:
        """Hand a repeat out again whose worker was lost before it began, or fail it after too many losses."""
        self._num_losses[trial_id] += 1
        if self._num_losses[trial_id] > max_losses:
            self.fail(trial_id, reason)
        else:
            self._again.append(trial_id)

    def record_lost_job(self, trial_id: str, seconds: float, node: str) -> None:
        """Do nothing: repeats do not count towards the cost of a study."""

    def record_node(self, node: str) -> None:
        """Do nothing: see `record_lost_job`."""

    def _ready(self) -> tuple[str, int] | None:
        if not self._waiting and not self._open:
            self._waiting = self._plan.todo()  # comparing means may have made more trials candidates
        return next((pair for pair in self._waiting if self._plan.is_ready(*pair)), None)

    def _end(self, repeat_id: str, answer: RungReport | str) -> None:
        trial_id, number = self._open.pop(repeat_id)
        repeat = self._plan.receive(trial_id, number, answer)
        self._done += 1
        left = len(self._waiting) + len(self._open)
        if repeat is not None and self._on_step is not None:
            left_s = (self._clock() - self._started) / self._done * left
            self._on_step(VerifyStep(trial_id, repeat, self._done, self._done + left, left_s))
