"""Searches with a sampler that the caller passes in: any Optuna sampler, or a subclass of Optuna's base class."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeAlias

import optuna
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import Trial, create_trial
from optuna.trial import TrialState as OptunaState

from anon_tune.errors import UsageError, cause_of
from anon_tune.search.forecast import Losses
from anon_tune.search.sampler import distributions, suggest_point
from anon_tune.search.space import SearchSpace
from anon_tune.trial import OBJECTIVES

CallersSampler: TypeAlias = BaseSampler


def class_name(sampler: CallersSampler | None) -> str:
    """Return the name under which a study stores a caller's sampler; empty if there is none."""
    return "" if sampler is None else f"{type(sampler).__module__}.{type(sampler).__qualname__}"


def check_sampler(sampler: object, space: SearchSpace) -> CallersSampler:
    """Check that a sampler can propose points of a space for two objectives, by trying a copy of it.

    Args:
        sampler: What the caller gave.
        space: The search space of the study.

    Returns:
        The sampler itself, unused.

    Raises:
        UsageError: It is not an Optuna sampler, or it cannot propose points of this space.
    """
    if not isinstance(sampler, BaseSampler):
        rule = "must be a name, or an instance of optuna.samplers.BaseSampler"
        raise UsageError("sampler", rule, type(sampler).__name__, "Pass for example optuna.samplers.TPESampler(seed=0)")
    try:
        model = CallersModel(copy.deepcopy(sampler), space)
        for number, losses in enumerate([(0.5, -0.5), (0.4, -0.4)]):
            point = model.suggest({})
            model.begin(str(number), point)
            model.end(str(number), point, losses, {})
        model.suggest({})
    except Exception as error:  # of somebody else's code, which may raise anything
        remedy = "Take one that searches several objectives, as optuna.samplers.NSGAIISampler"
        raise UsageError(
            "sampler", f"{class_name(sampler)} cannot propose a trial", remedy=remedy, cause=cause_of(error)
        ) from error
    return sampler


class CallersModel:
    """The Optuna study in which a caller's sampler works.

    There is one for the life of the driver. It hears of every trial once, when the trial is over, as in Optuna itself,
    because a sampler may keep what it has learned in itself, in the study or in the trials. When a study is resumed,
    the new sampler hears of the earlier trials. A trial that was stopped early counts with an estimate of its final
    losses.

    Args:
        sampler: Used as it is, with the seed that the caller gave it.
        space: The search space of the study.
    """

    def __init__(self, sampler: CallersSampler, space: SearchSpace) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        directions = [StudyDirection.MINIMIZE for _ in OBJECTIVES]
        self._study = optuna.create_study(sampler=sampler, directions=directions)
        self._space, self._asked = space, list[Trial]()
        self._running: dict[str, Trial] = {}

    def suggest(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Ask for a point in which the given values are fixed. A point asked for before but never begun is dropped."""
        for trial in self._asked:
            self._study.tell(trial, state=OptunaState.FAIL)
        if given:
            self._study.enqueue_trial(dict(given))
        self._asked = [self._study.ask()]
        return suggest_point(self._asked[0], self._space)

    def begin(self, trial_id: str, params: Mapping[str, Any]) -> None:
        """Mark a point as running: the one asked for last, or one that an earlier driver proposed."""
        if not self._asked:
            self._study.enqueue_trial(dict(params))
            self._asked = [self._study.ask()]
            suggest_point(self._asked[0], self._space)
        self._running[trial_id] = self._asked.pop()

    def end(
        self, trial_id: str, params: Mapping[str, Any], losses: Losses | None, constraints: Mapping[str, float]
    ) -> None:
        """Tell the sampler about a trial that is over; its losses are None if it failed."""
        trial = self._running.pop(trial_id, None)
        if losses is None:
            if trial is not None:
                self._study.tell(trial, state=OptunaState.FAIL)
        elif trial is None:  # the trial was over before this driver began
            kinds = distributions(self._space, params)
            known = create_trial(values=losses, params=dict(params), distributions=kinds, constraints=dict(constraints))
            self._study.add_trial(known)
        else:
            for name, value in constraints.items():
                trial.set_constraint(name, value)
            self._study.tell(trial, losses)
