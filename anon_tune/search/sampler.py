"""Makes an Optuna sampler for a proposal and translates the search space into Optuna distributions."""

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


def num_startup_trials(kind: Sampler, num_trials: int) -> int:
    """Return how many quasi-random points come before those that the sampler chooses."""
    if kind == "nsga2":
        return population_size(num_trials)
    # A Gaussian process fitted to fewer points proposes mostly corners of the space.
    return max(4, min(10, 3 * num_trials // 8 if kind == "gp" else num_trials // 4))


def population_size(num_trials: int) -> int:
    """Return the population size of NSGA-II; Optuna's default of 50 would make the first 50 trials random search."""
    return max(4, min(50, num_trials // 5))


def make_sampler(kind: Sampler, num_trials: int, seed: int, number: int) -> BaseSampler:
    """Return a new sampler for one proposal, with a seed of its own.

    A proposal must depend on the known trials and on its number, but not on how many proposals this process has made
    before. Then a resumed study goes on exactly as it would have without the interruption.

    Args:
        kind: Any sampler but ``auto``. Those that need no model get a random sampler, which only fills in the names
            that a given point leaves out.
        num_trials: How many trials the study has.
        seed: Seed of the study.
        number: Number of the trial.
    """
    seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        match kind:
            # Every other proposal comes from TPE, because a Gaussian process that knows little proposes mostly
            # corners of the space, where it is least certain.
            case "gp" if number % 2 == 0:
                return GPSampler(seed=seed, n_startup_trials=1, warn_independent_sampling=False)
            case "gp" | "tpe":
                # With noisy scores, independent TPE does better than multivariate TPE.
                return TPESampler(seed=seed, n_startup_trials=1, multivariate=False)
            case "nsga2":
                return NSGAIISampler(seed=seed, population_size=population_size(num_trials))
            case _:
                return RandomSampler(seed=seed)


def distributions(space: SearchSpace, params: Mapping[str, Any]) -> dict[str, BaseDistribution]:
    """Return the Optuna distribution of every name in a point."""
    return {name: distribution(space.search[name]) for name in params}


def distribution(parameter: Parameter) -> BaseDistribution:
    """Return a range or choices as an Optuna distribution."""
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
