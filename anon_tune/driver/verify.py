"""Measures the best trials of a study again with new seeds, so that its front can be believed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import ray

from anon_tune.driver.adapters import one_line
from anon_tune.driver.placement import Slots, place
from anon_tune.driver.run import StudyInterrupted, stop_signals
from anon_tune.driver.session import living_resources, ray_session
from anon_tune.errors import AnonTuneError, StudyError
from anon_tune.folder import Folder, Location
from anon_tune.ledger import Ledger
from anon_tune.methods import is_trained
from anon_tune.pareto import front_candidates
from anon_tune.recipe import Recipe
from anon_tune.search.space import SearchSpace
from anon_tune.study.lock import Hold, driver_lock
from anon_tune.study.settings import StudySettings, load_study
from anon_tune.trial import ANCHORS, TRIALS, Ceilings, Repeat, RungJob, RungReport, Trial, TrialBody

_POLL_S = 0.2
_GRACE_S = 10.0


@dataclass(frozen=True, slots=True)
class VerifyStep:
    """What there is to say after one repeat arrived.

    Attributes:
        trial: Id of the trial that was measured.
        repeat: The measurement.
        done: Repeats of this run so far.
        total: Repeats this run will take as far as is known; means may call for more.
        left_s: Estimate of the seconds left.
    """

    trial: str
    repeat: Repeat
    done: int
    total: int
    left_s: float


def verify_study(
    directory: Location,
    body: TrialBody,
    num_seeds: int = 5,
    retrain: bool = False,
    on_step: Callable[[VerifyStep], None] | None = None,
) -> Ledger:
    """Measure the anchors and the first two front ranks of a study again, until the front has only such trials.

    Repeat k of every trial has the same seed of attackers, classifier and bootstrap, and the ceilings of the
    identity anchor's repeat k, which therefore comes first. What the ledger has is not done again. When
    means bring a trial into the first two ranks that was measured only once, it is measured as well.

    Args:
        directory: A study directory; a path that every node sees, or a URI that pyarrow opens.
        body: Does the work, as in the study.
        num_seeds: Repeats that every such trial shall have, at least 1.
        retrain: Train every repeat anew with a training seed of its own; closed-form methods are only
            measured. Takes the place of repeats that were not trained anew.
        on_step: Called after every repeat.

    Returns:
        The ledger.

    Raises:
        StudyError: Nothing to verify, another process writes the directory, weights are gone, repeats could
            not be taken, or the repeats that are there were trained anew and ``retrain`` is false.
        PlacementError: A trial needs more than the cluster has.
        StudyInterrupted: Stopped by a signal; what arrived is in the ledger.
    """
    folder = Folder.at(directory)
    space, settings = load_study(folder)
    with driver_lock(folder) as hold:
        plan = _Plan(folder, hold, space, settings, num_seeds, retrain)
        if not plan.todo():
            return plan.ledger
        with ray_session(dashboard=settings.runs_through_train), stop_signals() as stopped:
            slots = Slots(settings, living_resources)
            crew = _Crew(body, place(settings, slots.nodes()).resources, slots, settings.max_failures)
            try:
                _measure(plan, crew, [stopped, hold.lost], on_step)
            finally:
                crew.dismiss()
        hold.check()
    if stopped.is_set():
        raise StudyInterrupted(f"{folder}: stopped. Go on with the same command")
    if plan.failures:
        name, number = next(iter(plan.failures))
        rule = f"{len(plan.failures)} repeats could not be taken, the first is repeat {number} of trial '{name}'"
        raise StudyError(str(folder), rule, plan.failures[name, number], "Mend the cause, then verify again")
    return plan.ledger


def _measure(
    plan: _Plan, crew: _Crew, must_stop: Sequence[threading.Event], on_step: Callable[[VerifyStep], None] | None
) -> None:
    """Pass by pass: means are compared only when every candidate has all of its repeats."""
    started, done = time.monotonic(), 0
    while waiting := plan.todo():
        while waiting or crew.busy:
            if any(event.is_set() for event in must_stop):
                return
            ready = next((pair for pair in waiting if plan.is_ready(*pair)), None)
            if ready is not None and crew.has_room:
                waiting.remove(ready)
                crew.start(ready, plan.job(*ready))
                continue
            if not crew.busy:
                return  # the identity anchor has failed, and with it the ceilings of what waits
            for (name, number), answer in crew.answers():
                repeat = plan.receive(name, number, answer)
                done += 1
                left = len(waiting) + len(crew.busy)
                if repeat is not None and on_step is not None:
                    left_s = (time.monotonic() - started) / done * left
                    on_step(VerifyStep(name, repeat, done, done + left, left_s))


class _Crew:
    """Ray tasks at work on repeats; a lost worker is replaced by Ray.

    Args:
        body: Does the work.
        resources: What one task asks for.
        slots: How many tasks may run at a time.
        max_failures: How often a task whose worker died or raised is started again.
    """

    def __init__(self, body: TrialBody, resources: Mapping[str, float], slots: Slots, max_failures: int) -> None:
        self._body, self._slots = ray.put(body), slots
        self._task = ray.remote(
            num_cpus=resources["cpu"],
            memory=resources.get("memory", 0),
            max_retries=max_failures,
            retry_exceptions=True,
        )(_advance)
        self.busy: dict[ray.ObjectRef[RungReport | str], tuple[str, int]] = {}

    @property
    def has_room(self) -> bool:
        """True if another task may start; one always may, and waits where no node is left."""
        return len(self.busy) < self._slots.number()

    def start(self, pair: tuple[str, int], job: RungJob) -> None:
        """Start a job."""
        self.busy[self._task.remote(self._body, job)] = pair

    def answers(self) -> list[tuple[tuple[str, int], RungReport | str]]:
        """Return what is done by now, or after a moment; of a task that failed the reason."""
        done, _ = ray.wait([*self.busy], num_returns=len(self.busy), timeout=_POLL_S)
        return [(self.busy.pop(reference), _answer(reference)) for reference in done]

    def dismiss(self) -> None:
        """End what still runs: with an interrupt first, so that Ray Train can take its workers down."""
        for force in (False, True):
            for reference in self.busy:
                ray.cancel(reference, force=force)
            done, _ = ray.wait([*self.busy], num_returns=len(self.busy), timeout=_GRACE_S) if self.busy else ([], [])
            for reference in done:
                del self.busy[reference]


def _advance(body: TrialBody, job: RungJob) -> RungReport | str:
    """Run in a worker. A trial that cannot be measured is a value: raising would start the task again."""
    try:
        return body.advance(job)
    except AnonTuneError as error:
        return str(error)


def _answer(reference: ray.ObjectRef[RungReport | str]) -> RungReport | str:
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        return one_line(error)


class _Plan:
    """What is left to measure, and where an answer goes. Knows nothing of Ray."""

    def __init__(
        self, folder: Folder, hold: Hold, space: SearchSpace, settings: StudySettings, num_seeds: int, retrain: bool
    ) -> None:
        self.folder, self.ledger = folder, Ledger(folder / "ledger", hold.check)
        self.failures: dict[tuple[str, int], str] = {}
        self._space, self._seed, self._num_seeds, self._retrain = space, settings.seed, num_seeds, retrain
        self._trials = {trial.id: trial for trial in self.ledger.trials()}
        where, candidates = str(folder), front_candidates(self.trials)
        if ANCHORS[0] not in {t.id for t in candidates} or all(t.is_anchor for t in candidates):
            remedy = "Let the study go on: anon-tune resume"
            raise StudyError(where, "nothing to verify: no trial has a full score yet", remedy=remedy)
        if not retrain and any(self._is_retrained(t, r) for t in self.trials for r in t.repeats):
            rule = "its repeats were trained anew, and the two kinds do not mix"
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
        missing = [
            (trial.id, number)
            for trial in front_candidates(self.trials)
            for number in self._missing(trial)
            if (trial.id, number) not in self.failures
        ]
        for name in {name for name, _ in missing}:
            self._weights(self._trials[name])
        return sorted(missing, key=lambda pair: (pair[0] != ANCHORS[0], pair[1]))

    def is_ready(self, name: str, number: int) -> bool:
        """True if a repeat can start: the ceilings of its seed are known."""
        return name == ANCHORS[0] or number in self._ceilings()

    def job(self, name: str, number: int) -> RungJob:
        """Return the job of a repeat that is ready."""
        trial = self._trials[name]
        recipe, last = self._recipe(trial, number), trial.reports[-1]
        return RungJob(
            trial=name,
            recipe=recipe,
            directory=(self._trial_folder(name) / _repeat(number)).location,
            rung=last.rung,
            step=last.step,
            full=True,
            ceilings=None if name == ANCHORS[0] else self._ceilings()[number],
            weights=self._weights(trial),
        )

    def receive(self, name: str, number: int, answer: RungReport | str) -> Repeat | None:
        """Record a repeat, or keep the reason why there is none."""
        trial = self._trials[name]
        if not (self._retrain and is_trained(trial.method)):
            with suppress(OSError):
                self._trial_folder(name).remove(_repeat(number))
        if isinstance(answer, str):
            self.failures[name, number] = answer
            return None
        repeat = Repeat(number, self._recipe(trial, number).training.seed, answer.score)
        self.ledger.append_repeat(trial, repeat)
        others = tuple(r for r in trial.repeats if r.number != number)
        repeats = tuple(sorted((*others, repeat), key=lambda r: r.number))
        self._trials[name] = replace(trial, repeats=repeats)
        return repeat

    def _ceilings(self) -> dict[int, Ceilings]:
        scores = {r.number: r.score for r in self._trials[ANCHORS[0]].repeats}
        return {number: Ceilings(s.leakage.value, s.accuracy.value) for number, s in scores.items()}

    def _weights(self, trial: Trial) -> str:
        if self._retrain or not is_trained(trial.method):
            return ""
        name = trial.reports[-1].checkpoint
        if not self.folder.has(name):
            remedy = "Put it back, or train again with --retrain"
            raise StudyError(f"trial {trial.id}", "its weights are gone", f"{self.folder}/{name}", remedy)
        return (self.folder / name).location

    def _missing(self, trial: Trial) -> list[int]:
        anew = self._retrain and is_trained(trial.method)
        have = {r.number for r in trial.repeats if not anew or self._is_retrained(trial, r)}
        # Those measured on the old weights are all replaced: the two kinds do not mix.
        last = max([self._num_seeds, *(r.number for r in trial.repeats if anew)])
        return [number for number in range(1, last + 1) if number not in have]

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

    def _trial_folder(self, name: str) -> Folder:
        return self.folder / TRIALS / name


def _repeat(number: int) -> str:
    return f"repeat-{number}"
