"""Asks Optuna for the next point and tells it, truthfully, what became of each.

Two Optuna studies go in step. The *record* is the user's storage: every trial in its true state,
COMPLETE only with the validation readings of a full score. The *model* lives in memory and is what
the sampler looks at. They differ in one thing: Optuna's Gaussian process and NSGA-II ignore PRUNED
trials, and TPE knows only that they are worse than complete ones, as Optuna stores no losses of a
PRUNED trial of several objectives. So the model holds a PRUNED trial as an estimate: its losses at
the rung plus what trials measured both there and in full have changed by on average.
"""

from __future__ import annotations

import warnings
from collections import Counter
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
from optuna.study import StudyDirection
from optuna.trial import TrialState as OptunaState
from optuna.trial import create_trial

from anon_tune.errors import LedgerError
from anon_tune.method import parse_method
from anon_tune.study.parameters import Choices, Parameter
from anon_tune.study.space import SearchSpace
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
        self._space = space
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        directions = [StudyDirection.MINIMIZE for _ in OBJECTIVES]
        self._model = optuna.create_study(sampler=make_sampler(kind, space, seed, num_trials), directions=directions)
        self._record = optuna.create_study(study_name=study_name, storage=storage, directions=directions)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._record.set_metric_names([o.name if o.minimize else f"-{o.name}" for o in OBJECTIVES])
        self._open: dict[str, tuple[optuna.Trial, optuna.Trial]] = {}
        self._proposed: Counter[str] = Counter()  # methods
        self._changes: dict[int, list[tuple[float, float]]] = {}  # by rung: full losses minus the rung's

    @property
    def study(self) -> optuna.Study:
        """The record."""
        return self._record

    @property
    def model(self) -> optuna.Study:
        """What the sampler looks at."""
        return self._model

    def prefer(self, points: Iterable[Mapping[str, Any]]) -> None:
        """Queue points to try first; the sampler fills in what they leave out."""
        for point in points:
            self._model.enqueue_trial(dict(point))

    def ask(self, trial_id: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Propose a point, or take the given one as proposed.

        A closed-form method has no other params and nothing random: where the sampler proposes one again, the
        method that was proposed least is taken instead, as long as there is one that can give another score.

        Args:
            trial_id: Under which it will be told; the record keeps it as a user attribute.
            params: Of a trial that an earlier driver left unfinished.
        """
        if params is not None:
            self._model.enqueue_trial(dict(params))
        trial = self._model.ask()
        point = self._suggest(trial)
        while params is None and (instead := self._instead(point)):
            self._model.tell(trial, state=OptunaState.FAIL)  # which samplers ignore
            self._model.enqueue_trial({"method": instead})
            trial = self._model.ask()
            point = self._suggest(trial)
        self._proposed[self._space.method(point)] += 1
        self._record.enqueue_trial(point, user_attrs={"trial": trial_id})
        recorded = self._record.ask()
        self._suggest(recorded)
        self._open[trial_id] = trial, recorded
        return point

    def tell(self, trial: Trial) -> None:
        """Say how a trial ended; one that was never asked for is added with its params.

        An anchor has no params and is no trial of Optuna's; it only shows how full losses differ
        from a rung's.
        """
        self._learn(trial)
        if trial.is_anchor:
            return
        state = _STATES[trial.state]
        values = score_losses(trial.score) if trial.state is TrialState.COMPLETE and trial.score else None
        estimate = self._estimate(trial) if trial.state is TrialState.PRUNED else values
        model_state = OptunaState.COMPLETE if estimate else state
        attributes: dict[str, Any] = {"trial": trial.id, "reason": trial.reason}
        if trial.reports:
            last = trial.reports[-1]
            attributes |= {"rung": last.rung, "step": last.step, "last_losses": list(score_losses(last.score))}
        if trial.id in self._open:
            asked, recorded = self._open.pop(trial.id)
            self._model.tell(asked, estimate, model_state)
            for key, value in attributes.items():
                recorded.set_user_attr(key, value)
            self._record.tell(recorded, values, state)
        else:
            self._proposed[trial.method] += 1
            self._model.add_trial(self._frozen(trial.params, model_state, estimate, {}))
            self._record.add_trial(self._frozen(trial.params, state, values, attributes))

    def _suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        point: dict[str, Any] = {}
        for name, parameter in self._space.search.items():
            if self._space.is_active(name, point):
                point[name] = _suggest_one(trial, name, parameter)
        return point

    def _instead(self, point: Mapping[str, Any]) -> str | None:
        """Return another method for a point that can only repeat a score, None if there is no need or no other."""
        if "method" not in point or parse_method(point["method"]).is_trained or not self._proposed[point["method"]]:
            return None
        methods = (str(method) for method in self._space.search["method"].probes)
        others = [m for m in methods if parse_method(m).is_trained or not self._proposed[m]]
        return min(others, key=lambda m: self._proposed[m], default=None)

    def _learn(self, trial: Trial) -> None:
        if trial.score is None or not trial.score.is_finite:
            return
        full = score_losses(trial.score)
        for report in trial.reports:
            if not report.score.full and report.score.is_finite:
                here = score_losses(report.score)
                # What is not trained is measured at one rung only, but does not change with training.
                rung = report.rung if trial.is_trained else -1
                self._changes.setdefault(rung, []).append((full[0] - here[0], full[1] - here[1]))

    def _estimate(self, trial: Trial) -> tuple[float, ...] | None:
        """Estimate the full losses of a stopped trial; None while no change has been seen."""
        last = trial.reports[-1]
        changes = self._changes.get(-1, []) + self._changes.get(last.rung, [])
        if not changes or not last.score.is_finite:
            return None
        return tuple(float(x) for x in np.add(score_losses(last.score), np.mean(changes, axis=0)))

    def _frozen(
        self,
        params: Mapping[str, Any],
        state: OptunaState,
        values: Sequence[float] | None,
        attributes: Mapping[str, Any],
    ) -> optuna.trial.FrozenTrial:
        distributions = {name: distribution(self._space.search[name]) for name in params}
        return create_trial(
            state=state,
            values=values,
            params=dict(params),
            distributions=distributions,
            user_attrs=dict(attributes),
        )


def open_storage(url: str | None, directory: Path) -> BaseStorage:
    """Open any Optuna storage URL, or the journal file of a study directory.

    Raises:
        LedgerError: The URL cannot be opened.
    """
    if url is None:
        return JournalStorage(JournalFileBackend(str(directory / "optuna.journal")))
    try:
        return RDBStorage(url)
    except Exception as error:  # SQLAlchemy and drivers raise their own kinds
        last = str(error).strip().splitlines()[0]
        remedy = "Give a URL such as sqlite:////tmp/study.db, with its driver installed"
        raise LedgerError("--storage", f"cannot be opened: {last}", url, remedy) from None


def make_sampler(kind: Sampler, space: SearchSpace, seed: int, num_trials: int) -> BaseSampler:
    """Return Optuna's sampler for a space.

    ``auto`` is the Gaussian process for up to 250 trials of a numeric space without conditions, where it
    needs the fewest trials, and TPE elsewhere.
    """
    if kind == "auto":
        numeric = all(not isinstance(p, Choices) and not p.when for p in space.search.values())
        kind = "gp" if numeric and num_trials <= _MOST_GP_TRIALS else "tpe"
    num_startup = max(4, min(10, num_trials // 4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        match kind:
            case "gp":
                # Fitted to fewer points it spends its trials on the corners of the space.
                num_startup = max(4, min(10, 3 * num_trials // 8))
                return GPSampler(seed=seed, n_startup_trials=num_startup, warn_independent_sampling=False)
            case "tpe":
                # Independent, not multivariate: under noise the latter loses to it.
                return TPESampler(seed=seed, n_startup_trials=num_startup, multivariate=False)
            case "nsga2":
                # Optuna's population of 50 would be random search for the first 50 trials.
                return NSGAIISampler(seed=seed, population_size=max(4, min(50, num_trials // 5)))
            case "random":
                return RandomSampler(seed=seed)


def distribution(parameter: Parameter) -> BaseDistribution:
    """Return Optuna's name for a range or choices."""
    if isinstance(parameter, Choices):
        return CategoricalDistribution(parameter.choices)
    if parameter.integer:
        return IntDistribution(int(parameter.low), int(parameter.high), parameter.log, int(parameter.step or 1))
    return FloatDistribution(float(parameter.low), float(parameter.high), parameter.log, parameter.step)


def _suggest_one(trial: optuna.Trial, name: str, parameter: Parameter) -> Any:
    match distribution(parameter):
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(name, choices)
        case IntDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_int(name, low, high, log=log, step=step)
        case FloatDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_float(name, low, high, log=log, step=step)
        case other:
            raise AssertionError(other)
