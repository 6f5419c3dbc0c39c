"""The search strategies that are compared, by name: ours, its variants, and the peers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from peers import Ax, OptunaAlone, RayTune, Scalarized, SyneTune
from problems import Problem

from anon_tune.ledger import Ledger
from anon_tune.search.parameters import Sampler
from anon_tune.search.proposer import Proposer
from anon_tune.search.space import SearchSpace
from anon_tune.study.bookkeeper import Bookkeeper
from anon_tune.study.desk import Desk
from anon_tune.study.settings import StudySettings
from anon_tune.study.virtual_time import VirtualClock
from anon_tune.trackers.optuna_storage import OptunaMirror

MOST_TRIALS = 250  # more than any strategy comes to before the end


def ours(
    problem: Problem,
    seed: int,
    directory: Path,
    clock: VirtualClock,
    sampler: Sampler = "auto",
    rungs: bool = True,
    **changes: int,
) -> Desk:
    """Return the study's own bookkeeper.

    Args:
        problem: What is searched.
        seed: Of the study.
        directory: Of its ledger.
        clock: Of the loop.
        sampler: Of the study.
        rungs: Whether any trial is stopped.
        changes: To the rungs of the problem's space.
    """
    space = _with_rungs(problem.space, **changes)
    settings = StudySettings(num_trials=MOST_TRIALS, sampler=sampler, seed=seed, rungs=rungs)
    record = OptunaMirror(space, InMemoryStorage(), "bench")
    proposer = Proposer(space, sampler, seed, MOST_TRIALS, record)
    return Bookkeeper(Ledger(directory / "ledger"), space, proposer, settings, clock=clock)


def _with_rungs(space: SearchSpace, **changes: int) -> SearchSpace:
    assert space.study.rungs is not False
    rungs = space.study.rungs.model_copy(update=changes)
    return space.model_copy(update={"study": space.study.model_copy(update={"rungs": rungs})})


Make = Callable[[Problem, int, Path, VirtualClock], Desk]


def _tpe(seed: int) -> BaseSampler:
    return TPESampler(seed=seed)


def _random(seed: int) -> BaseSampler:
    return RandomSampler(seed=seed)


STRATEGIES: Mapping[str, Make] = {
    "ours": ours,
    "ours-promote": lambda p, s, d, c: ours(p, s, d, c, promote=True),
    "ours-no-rungs": lambda p, s, d, c: ours(p, s, d, c, rungs=False),
    "random": lambda p, s, d, c: ours(p, s, d, c, sampler="random", rungs=False),
    "random-our-rungs": lambda p, s, d, c: ours(p, s, d, c, sampler="random"),
    "tpe-our-rungs": lambda p, s, d, c: ours(p, s, d, c, sampler="tpe"),
    "optuna-tpe": lambda p, s, d, c: OptunaAlone(p, _tpe(s)),
    "optuna-nsga2": lambda p, s, d, c: OptunaAlone(p, NSGAIISampler(seed=s)),
    "optuna-nsga2-small": lambda p, s, d, c: OptunaAlone(p, NSGAIISampler(seed=s, population_size=12)),
    "scalarized-asha-random": lambda p, s, d, c: Scalarized(p, s, _random(s)),
    "scalarized-asha-tpe": lambda p, s, d, c: Scalarized(p, s, _tpe(s)),
    "ray-optuna-asha-accuracy": lambda p, s, d, c: RayTune(p, s, "accuracy"),
    "ray-optuna-asha-mean": lambda p, s, d, c: RayTune(p, s, "mean"),
    "syne-tune-moasha": lambda p, s, d, c: SyneTune(p, s),
    "ax": lambda p, s, d, c: Ax(p, s),
}
"""Name of a strategy to what makes its desk."""

OURS = "ours"
NOT_PEERS = ("ours", "ours-promote", "ours-no-rungs", "random-our-rungs", "tpe-our-rungs")
"""Those in which something is ours; the others are peers."""
