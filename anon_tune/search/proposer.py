"""Proposes the next point from all trials so far.

For each proposal the sampler gets a new Optuna study. In it, a trial with a full score has its final losses. A trial
that runs, waits or was stopped has an estimate of its final losses. A trial without any score is pending. The estimates
are needed because Optuna's samplers hardly use stopped trials when there are several objectives: the Gaussian process
and NSGA-II ignore them, and TPE only knows that they are worse than complete ones.

A proposal therefore depends only on the study's seed, the trial's number, and the known trials.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import optuna
from optuna.samplers import NSGAIISampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, create_trial
from optuna.trial import TrialState as OptunaState

from anon_tune.methods import is_trained
from anon_tune.search.callers_sampler import CallersModel, CallersSampler
from anon_tune.search.choices import choose_sampler
from anon_tune.search.forecast import Forecasts, Losses
from anon_tune.search.parameters import Sampler, violation
from anon_tune.search.points import grid_points, quasi_random_point
from anon_tune.search.rungs import Rung
from anon_tune.search.sampler import distributions, make_sampler, num_startup_trials, suggest_point
from anon_tune.search.score_losses import score_losses, surest_score
from anon_tune.search.space import SearchSpace
from anon_tune.trial import OBJECTIVES, Trial, TrialState

_GENERATION = f"{NSGAIISampler.__name__}:generation"  # attribute by which the sampler finds possible parents
# NSGA-II picks its parents from the best population so far and the new trials. Once more than this many populations
# of trials are known, the others are forgotten.
_MOST_ELITES = 8


@dataclass(frozen=True, slots=True)
class Observation:
    """What a sampler knows about one trial.

    Attributes:
        number: Number of the trial; below 0 for a trial of an earlier study.
        params: The point that it was given.
        rung: Index of the rung at which its losses were measured; None if they are those of the full score.
        losses: The two measured losses, both minimized.
        constraints: By name, as in Optuna: at most 0 if the constraint is kept.
    """

    number: int
    params: Mapping[str, Any]
    rung: int | None
    losses: Losses
    constraints: Mapping[str, float]


class TrialMirror(Protocol):
    """Keeps trials for tools outside, for example in an Optuna storage."""

    def begin(self, trial_id: str, params: Mapping[str, Any]) -> None:
        """Write that a trial is running."""
        ...

    def end(self, trial: Trial) -> None:
        """Write how a trial ended."""
        ...


class Proposer:
    """Proposes points and learns from trials.

    Args:
        space: The search space.
        kind: The sampler to use, by name.
        seed: Seed of the study, at least 0.
        num_trials: How many trials the study will have.
        mirror: Also receives every trial.
        known: Observations from an earlier study, by names of their own.
        sampler: A sampler of the caller's in the place of `kind`; None for ours.
    """

    def __init__(
        self,
        space: SearchSpace,
        kind: Sampler,
        seed: int,
        num_trials: int,
        mirror: TrialMirror,
        known: Mapping[str, Observation] | None = None,
        sampler: CallersSampler | None = None,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space, self._seed, self._num_trials, self._mirror = space, seed, num_trials, mirror
        # A caller's sampler needs nothing of what is done around ours, as with random points.
        self.kind = choose_sampler(kind, space, num_trials) if sampler is None else "random"
        self._callers = None if sampler is None else CallersModel(sampler, space)
        self._num_startup = num_startup_trials(self.kind, num_trials)
        self._grid = grid_points(space, num_trials, seed) if self.kind == "grid" else None
        self._known: dict[str, Observation] = dict(known or {})
        self._pending: dict[str, Mapping[str, Any]] = {}
        self._met: set[str] = set()
        self._proposed: Counter[str] = Counter()  # methods
        self._forecasts = Forecasts()
        if self._callers:
            for name, seen in self._known.items():
                self._callers.end(name, seen.params, self._estimate(seen), seen.constraints)

    @property
    def num_points(self) -> int:
        """How many points this study proposes: its number of trials, or fewer if its grid has fewer points."""
        if self._grid is None:
            return self._num_trials
        return min(self._num_trials, len(self._space.first) + len(self._grid))

    def ask(self, trial_id: str, number: int) -> dict[str, Any]:
        """Propose a point and mark it as pending.

        A closed-form method has no params and nothing random, so it always gets the same score. If the sampler
        proposes one that was proposed before, the least proposed of the methods that can give a new score replaces
        it, if there is one.

        Args:
            trial_id: Id of the new trial.
            number: Number of the new trial, from 0. The first trials get the first points of the space; the sampler
                fills in the names that such a point leaves out.
        """
        given = dict(self._given(number))
        suggest = self._callers.suggest if self._callers else partial(self._suggest, self._model(number))
        point = suggest(given)
        while instead := self._instead(point):
            point = suggest({"method": instead})
        self.begin(trial_id, point)
        return point

    def begin(self, trial_id: str, params: Mapping[str, Any]) -> None:
        """Mark the point of a trial as pending: proposed, but without a score so far."""
        self._meet(trial_id, self._space.method(params))
        self._pending[trial_id] = params
        if self._callers:
            self._callers.begin(trial_id, params)
        self._mirror.begin(trial_id, params)

    def tell(self, trial: Trial) -> None:
        """Update what is known of a trial. When the trial has ended, the mirror is updated as well.

        An anchor has no params, so Optuna never sees it. It only shows how final losses differ from those at a rung.
        """
        self._forecasts.learn(trial)
        if trial.is_anchor:
            return
        self._meet(trial.id, trial.method)
        seen = self._observe(trial)
        if seen is not None:
            self._known[trial.id] = seen
        elif trial.state.is_final:  # it failed, so its losses at rungs are forgotten too
            self._known.pop(trial.id, None)
        if seen is not None or trial.state.is_final:
            self._pending.pop(trial.id, None)
        if self.kind == "nsga2" and len(self._known) > _MOST_ELITES * self._num_startup:
            self._known = dict(self._elite(2 * self._num_startup))
        if trial.state.is_final:
            if self._callers:
                losses = None if seen is None else self._estimate(seen)
                self._callers.end(trial.id, trial.params, losses, {} if seen is None else seen.constraints)
            self._mirror.end(trial)

    def observations(self) -> dict[str, Losses]:
        """Return the losses of all trials that the sampler looks at; final losses are estimated where not measured."""
        return {trial: self._estimate(seen) for trial, seen in self._known.items()}

    def _meet(self, trial_id: str, method: str) -> None:
        """Count the method of a trial; a trial that was counted before is not counted again."""
        self._proposed[method] += trial_id not in self._met
        self._met.add(trial_id)

    def _observe(self, trial: Trial) -> Observation | None:
        """Return what a trial shows; None if it failed or has not been measured with finite losses."""
        if not trial.reports or trial.state is TrialState.FAILED:
            return None
        last = trial.reports[-1]
        if not last.score.is_finite:
            return None
        rung = None if last.score.full else last.rung
        score = surest_score(trial)
        constraints = self._space.study.constraints.values(score)
        return Observation(trial.number, trial.params, rung, score_losses(score), constraints)

    def _estimate(self, seen: Observation) -> Losses:
        return seen.losses if seen.rung is None else self._forecasts.at(seen.rung, seen.losses)

    def _given(self, number: int) -> Mapping[str, Any]:
        """Return the values of a point that are fixed before any sampler is asked."""
        if number < len(self._space.first):
            return self._space.first[number]
        if self._grid is not None:
            return self._grid[number - len(self._space.first)]
        is_startup = self.kind in ("gp", "tpe", "nsga2") and len(self._known) < self._num_startup
        if self.kind == "qmc" or is_startup:
            return quasi_random_point(self._space, self._seed, number)
        return {}

    def _model(self, number: int) -> optuna.Study:
        """Make the Optuna study that a sampler looks at."""
        sampler = make_sampler(self.kind, self._num_trials, self._seed, number)
        model = optuna.create_study(sampler=sampler, directions=[StudyDirection.MINIMIZE for _ in OBJECTIVES])
        if self.kind in ("gp", "tpe"):
            model.add_trials(self._frozen(seen) for seen in sorted(self._known.values(), key=_number))
            model.add_trials(self._frozen_pending(params) for params in self._pending.values())
        elif self.kind == "nsga2":
            model.add_trials(self._frozen(seen, {_GENERATION: 0}) for _, seen in self._elite(self._num_startup))
        return model

    def _elite(self, count: int) -> list[tuple[str, Observation]]:
        """Return the `count` best trials, as a rung orders trials, sorted by trial number."""
        ranking = Rung(factor=2)
        for trial_id, seen in self._known.items():
            ranking.add(trial_id, self._estimate(seen), violation(seen.constraints))
        chosen = ((trial_id, self._known[trial_id]) for trial_id in ranking.best(count))
        return sorted(chosen, key=lambda item: item[1].number)

    def _suggest(self, model: optuna.Study, given: Mapping[str, Any]) -> dict[str, Any]:
        if given:
            model.enqueue_trial(dict(given))
        trial = model.ask()
        point = suggest_point(trial, self._space)
        model.tell(trial, state=OptunaState.FAIL)  # samplers ignore failed trials, so the model can be asked again
        return point

    def _instead(self, point: Mapping[str, Any]) -> str | None:
        """Return a method to replace that of a point which could only repeat a score.

        None if the point can give a new score, or if no other method can.
        """
        if "method" not in point or is_trained(point["method"]) or not self._proposed[point["method"]]:
            return None
        methods = (str(method) for method in self._space.search["method"].probes)
        others = [m for m in methods if is_trained(m) or not self._proposed[m]]
        return min(others, key=lambda m: self._proposed[m], default=None)

    def _frozen(self, seen: Observation, attributes: Mapping[str, Any] | None = None) -> FrozenTrial:
        return create_trial(
            values=self._estimate(seen),
            params=dict(seen.params),
            distributions=distributions(self._space, seen.params),
            constraints=dict(seen.constraints),
            system_attrs=dict(attributes or {}),
        )

    def _frozen_pending(self, params: Mapping[str, Any]) -> FrozenTrial:
        kinds = distributions(self._space, params)
        return create_trial(state=OptunaState.RUNNING, params=dict(params), distributions=kinds)


def _number(seen: Observation) -> int:
    return seen.number
