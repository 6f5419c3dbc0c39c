"""Asks Optuna for the next point and tells it, truthfully, what became of each.

Two Optuna studies go in step. The *record* is the user's storage: every trial in its true state,
COMPLETE only with the validation readings of a full score. The *model* lives in memory and is what
the sampler looks at. They differ in one thing: Optuna's Gaussian process and NSGA-II ignore PRUNED
trials, and TPE knows only that they are worse than complete ones, as Optuna stores no losses of a
PRUNED trial of several objectives. So the model holds a PRUNED trial as an estimate: its losses at
the rung plus what trials measured both there and in full have changed by on average.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState as OptunaState
from optuna.trial import create_trial

from anon_tune.errors import LedgerError
from anon_tune.study.space import Choices, Parameter, SearchSpace
from anon_tune.trial import OBJECTIVES, Score, Trial, TrialState, losses

Sampler = Literal["auto", "tpe", "gp", "nsga2", "random"]

_STATES = {
    TrialState.COMPLETE: OptunaState.COMPLETE,
    TrialState.PRUNED: OptunaState.PRUNED,
    TrialState.FAILED: OptunaState.FAIL,
}
_MOST_GP_TRIALS = 250  # a suggestion takes 0.5 s at 100 trials and 4.6 s at 500


def score_losses(score: Score) -> tuple[float, float]:
    """Return the losses that search and rungs look at: the validation readings, never the test split."""
    return losses(score.leakage.validation, score.accuracy.validation)


class Proposer:
    """Proposes points and learns from trials.

    Args:
        space: What is searched.
        kind: Which sampler.
        seed: At least 0; with equal trials in equal order the proposals are equal.
        num_trials: How many trials the study will have.
        storage: Of the record.
        study_name: Of the record, unique in the storage.
    """

    def __init__(
        self, space: SearchSpace, kind: Sampler, seed: int, num_trials: int, storage: BaseStorage, study_name: str
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = space
        self._distributions = {name: _distribution(p) for name, p in space.search.items()}
        directions = ["minimize" for _ in OBJECTIVES]
        self._model = optuna.create_study(sampler=make_sampler(kind, space, seed, num_trials), directions=directions)
        self._record = optuna.create_study(study_name=study_name, storage=storage, directions=directions)
        self._record.set_metric_names([o.name if o.minimize else f"-{o.name}" for o in OBJECTIVES])
        self._open: dict[str, tuple[optuna.Trial, int]] = {}
        self._changes: dict[int, list[tuple[float, float]]] = {}  # by rung: full losses minus rung losses

    @property
    def study(self) -> optuna.Study:
        """The record."""
        return self._record

    def prefer(self, points: Iterable[Mapping[str, Any]]) -> None:
        """Queue points to try first; the sampler fills in what they leave out."""
        for point in points:
            self._model.enqueue_trial(dict(point))

    def ask(self, trial_id: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Propose a point, or take the given one as proposed.

        Args:
            trial_id: Under which it will be told.
            params: Of a trial that a stopped driver left unfinished.
        """
        if params is None:
            trial = self._model.ask()
            point: dict[str, Any] = {}
            for name in self._space.search:
                if self._space.is_active(name, point):
                    point[name] = trial._suggest(name, self._distributions[name])
        else:
            point = dict(params)
            number = len(self._model.get_trials(deepcopy=False))
            self._model.add_trial(self._frozen(point, OptunaState.RUNNING, trial_id))
            trial = optuna.Trial(self._model, self._model.get_trials(deepcopy=False)[number]._trial_id)
        self._record.add_trial(self._frozen(point, OptunaState.RUNNING, trial_id))
        self._open[trial_id] = (trial, len(self._record.get_trials(deepcopy=False)) - 1)
        return point
