"""The choice of an Optuna sampler for a study, and the search space as Optuna distributions."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from anon_tune.search.parameters import Choices, Parameter, Sampler
from anon_tune.search.space import SearchSpace
from anon_tune.trial import Score, losses

_MOST_MODEL_TRIALS = 250  # a Gaussian process takes 0.5 s for a suggestion at 100 trials and 4.6 s at 500


def score_losses(score: Score) -> tuple[float, float]:
    """Return the losses used by search and rungs: the validation readings, never the test split."""
    return losses(score.leakage.validation, score.accuracy.validation)


def choose_sampler(kind: Sampler, space: SearchSpace, num_trials: int) -> Sampler:
    """Return what ``auto`` stands for: a Gaussian process where it fits, else TPE, and NSGA-II for many trials."""
    if kind != "auto":
        return kind
    if num_trials > _MOST_MODEL_TRIALS:
        return "nsga2"
    return "gp" if all(not isinstance(p, Choices) and not p.when for p in space.search.values()) else "tpe"


def num_startup_trials(kind: Sampler, num_trials: int) -> int:
    """Return how many quasi-random points come before the model's own."""
    if kind == "nsga2":
        return population_size(num_trials)
    # Fitted to fewer points a Gaussian process spends its trials on the corners of the space.
    return max(4, min(10, 3 * num_trials // 8 if kind == "gp" else num_trials // 4))


def population_size(num_trials: int) -> int:
    """Return the population of NSGA-II; Optuna's 50 would be random search for the first 50 trials."""
    return max(4, min(50, num_trials // 5))


def make_sampler(kind: Sampler, num_trials: int, seed: int, number: int) -> BaseSampler:
    """Return a sampler for one proposal.

    It is made anew for each, with a seed of its own, so that a proposal depends on what is known and on its
    number, but not on how many proposals this process has made before: a resumed study goes on as it would have.

    Args:
        kind: Not ``auto``; what needs no model gets a random sampler, which fills in what points leave open.
        num_trials: How many the study has.
        seed: Of the study.
        number: Of the trial.
    """
    seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        match kind:
            # Every other proposal of a Gaussian process is TPE's: while it knows little it spends itself on the
            # corners of the space, where it is least certain.
            case "gp" if number % 2 == 0:
                return GPSampler(seed=seed, n_startup_trials=1, warn_independent_sampling=False)
            case "gp" | "tpe":
                # Independent, not multivariate: under noise the latter loses to it.
                return TPESampler(seed=seed, n_startup_trials=1, multivariate=False)
            case "nsga2":
                return NSGAIISampler(seed=seed, population_size=population_size(num_trials))
            case _:
                return RandomSampler(seed=seed)


def distributions(space: SearchSpace, params: Mapping[str, Any]) -> dict[str, BaseDistribution]:
    """Return Optuna's names for what a point was sampled from."""
    return {name: distribution(space.search[name]) for name in params}


def distribution(parameter: Parameter) -> BaseDistribution:
    """Return Optuna's name for a range or choices."""
    if isinstance(parameter, Choices):
        return CategoricalDistribution(parameter.choices)
    if parameter.integer:
        return IntDistribution(int(parameter.low), int(parameter.last), parameter.log, int(parameter.step or 1))
    return FloatDistribution(float(parameter.low), float(parameter.last), parameter.log, parameter.step)


def suggest_point(trial: optuna.Trial, space: SearchSpace) -> dict[str, Any]:
    """Return a value for every name whose condition holds."""
    point: dict[str, Any] = {}
    for name, parameter in space.search.items():
        if space.is_active(name, point):
            point[name] = _suggest_one(trial, name, parameter)
    return point


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
