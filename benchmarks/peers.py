"""Other systems as desks of one event loop, by their own objects.

What a peer sees of a trial is what ours sees: losses on the validation split, at the rungs it stops at, or in full.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import optuna
from problems import Losses, Problem

from anon_tune.search.parameters import Range
from anon_tune.search.sampler import distribution
from anon_tune.search.score_losses import score_losses
from anon_tune.study.assignment import Assignment, Decision
from anon_tune.trial import Ceilings, RungReport

_SEEDS_OF_NUMPY = 2**32


class Peer:
    """What all peers share: numbers trials and makes assignments. Subclasses ask and tell.

    Args:
        problem: What is searched.
        rungs: Whether trials are measured, and may be stopped, before their last step.
    """

    def __init__(self, problem: Problem, rungs: bool) -> None:
        self.problem, self.space, self._rungs = problem, problem.space, rungs
        self._next = 0

    def next(self) -> Assignment:
        """Hand out a new trial."""
        trial_id, self._next = f"{self._next:04d}", self._next + 1
        recipe = self.space.recipe(self.ask(trial_id))
        levels = self.space.levels(recipe, rungs=self._rungs)
        ceilings = Ceilings(1.0, 1.0)
        return Assignment.of_rungs(trial_id, recipe, levels, range(len(levels)), (ceilings, ceilings))

    def start(self, trial_id: str) -> None:
        """Nothing to note."""

    def decide(self, report: RungReport) -> Decision:
        """Take in a full score, or decide at a rung; a trial that is stopped there is told as it stands."""
        if report.score.full:
            self.tell(report)
            return Decision.STOP
        if self.keeps(report):
            return Decision.GO_ON
        self.tell_stopped(report)
        return Decision.STOP

    def fail(self, trial_id: str, reason: str) -> None:
        """No body of these problems fails."""
        raise AssertionError(reason)

    def ask(self, trial_id: str) -> Mapping[str, Any]:
        """Propose a point."""
        raise NotImplementedError

    def tell(self, report: RungReport) -> None:
        """Learn a full score."""
        raise NotImplementedError

    def keeps(self, report: RungReport) -> bool:
        """Decide at a rung."""
        return True

    def tell_stopped(self, report: RungReport) -> None:
        """Learn that a trial was stopped."""


class OptunaAlone(Peer):
    """Optuna with two directions; no stopping, as it has none for several objectives."""

    def __init__(self, problem: Problem, sampler: optuna.samplers.BaseSampler) -> None:
        super().__init__(problem, rungs=False)
        self._study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
        self._open: dict[str, optuna.Trial] = {}

    def ask(self, trial_id: str) -> Mapping[str, Any]:
        """Propose a point."""
        self._open[trial_id] = self._study.ask({n: distribution(p) for n, p in self.space.search.items()})
        return self._open[trial_id].params

    def tell(self, report: RungReport) -> None:
        """Learn a full score."""
        self._study.tell(self._open.pop(report.trial_id), score_losses(report.score))


def last_step(problem: Problem) -> int:
    """Return the step of the full score."""
    return int(problem.space.fixed["training.num_steps"])


class Asha:
    """Ray Tune's own ASHA, on one number to be minimized."""

    def __init__(self, problem: Problem, seed: int) -> None:
        from ray.tune.schedulers import ASHAScheduler

        rungs = problem.space.study.rungs
        assert rungs is not False
        np.random.seed(seed % _SEEDS_OF_NUMPY)  # it deals brackets by numpy's global state
        self._scheduler = ASHAScheduler(
            time_attr="step",
            metric="loss",
            mode="min",
            max_t=last_step(problem),
            grace_period=rungs.min_steps,
            reduction_factor=rungs.factor,
        )

    def add(self, trial_id: str) -> None:
        """Note a new trial."""
        self._scheduler.on_trial_add(None, SimpleNamespace(trial_id=trial_id))  # type: ignore[arg-type]

    def keeps(self, report: RungReport, loss: float) -> bool:
        """Decide at a rung."""
        trial = SimpleNamespace(trial_id=report.trial_id)
        action = self._scheduler.on_trial_result(None, trial, {"step": report.step, "loss": loss})  # type: ignore[arg-type]
        return action != "STOP"


def scalarize(problem: Problem, losses: Losses) -> float:
    """Return the mean of both losses, each as a part of the range that matters on the true front."""
    return float(np.mean([(x - low) / (high - low) for x, (low, high) in zip(losses, problem.ranges, strict=True)]))


class Scalarized(Peer):
    """Both losses become one by equal weights: Ray's ASHA stops by it, Optuna minimizes it and is told who was stopped.

    Args:
        problem: Its ranges scale the losses, which no user would know so well.
        seed: Of ASHA.
        sampler: Proposes.
    """

    def __init__(self, problem: Problem, seed: int, sampler: optuna.samplers.BaseSampler) -> None:
        super().__init__(problem, rungs=True)
        self._study = optuna.create_study(direction="minimize", sampler=sampler)
        self._open: dict[str, optuna.Trial] = {}
        self._asha = Asha(problem, seed)

    def ask(self, trial_id: str) -> Mapping[str, Any]:
        """Propose a point."""
        self._asha.add(trial_id)
        self._open[trial_id] = self._study.ask({n: distribution(p) for n, p in self.space.search.items()})
        return self._open[trial_id].params

    def keeps(self, report: RungReport) -> bool:
        """Let ASHA decide."""
        loss = scalarize(self.problem, score_losses(report.score))
        self._open[report.trial_id].report(loss, report.step)
        return self._asha.keeps(report, loss)

    def tell_stopped(self, report: RungReport) -> None:
        """PRUNED, with what it reported."""
        self._study.tell(self._open.pop(report.trial_id), state=optuna.trial.TrialState.PRUNED)

    def tell(self, report: RungReport) -> None:
        """Learn a full score."""
        loss = scalarize(self.problem, score_losses(report.score))
        self._study.tell(self._open.pop(report.trial_id), loss)


class RayTune(Peer):
    """Ray Tune's OptunaSearch with two metrics, and its ASHA on one.

    Args:
        problem: What is searched.
        seed: Of OptunaSearch, whose sampler is TPE.
        by: What ASHA looks at: accuracy, or the mean of both losses in their ranges.
    """

    def __init__(self, problem: Problem, seed: int, by: Literal["accuracy", "mean"]) -> None:
        from ray.tune.search.optuna import OptunaSearch

        super().__init__(problem, rungs=True)
        space = {name: distribution(parameter) for name, parameter in self.space.search.items()}
        self._search = OptunaSearch(space, metric=["leakage", "loss"], mode=["min", "min"], seed=seed)
        self._asha, self._by = Asha(problem, seed), by

    def ask(self, trial_id: str) -> Mapping[str, Any]:
        """Propose a point."""
        self._asha.add(trial_id)
        params = self._search.suggest(trial_id)
        assert params is not None
        return params

    def keeps(self, report: RungReport) -> bool:
        """Let ASHA decide."""
        losses = score_losses(report.score)
        return self._asha.keeps(report, losses[1] if self._by == "accuracy" else scalarize(self.problem, losses))

    def tell_stopped(self, report: RungReport) -> None:
        """As Tune does: with the last result, which OptunaSearch takes for a complete trial's."""
        self.tell(report)

    def tell(self, report: RungReport) -> None:
        """Learn a score."""
        leakage, loss = score_losses(report.score)
        self._search.on_trial_complete(report.trial_id, {"leakage": leakage, "loss": loss})


class SyneTune(Peer):
    """Syne Tune's MOASHA, which draws its points at random."""

    def __init__(self, problem: Problem, seed: int) -> None:
        from syne_tune import config_space
        from syne_tune.optimizer.schedulers.multiobjective.moasha import MOASHA

        super().__init__(problem, rungs=True)
        np.random.seed(seed % _SEEDS_OF_NUMPY)  # it has no other
        space: dict[str, Any] = {}
        for name, p in self.space.search.items():
            assert isinstance(p, Range)
            if p.integer:
                space[name] = config_space.randint(int(p.low), int(p.high))
            else:
                space[name] = (config_space.loguniform if p.log else config_space.uniform)(float(p.low), float(p.high))
        rungs = self.space.study.rungs
        assert rungs is not False
        self._scheduler = MOASHA(
            space,
            ["leakage", "loss"],
            time_attr="step",
            max_t=last_step(problem),
            grace_period=rungs.min_steps,
            reduction_factor=rungs.factor,
            random_seed=seed,
        )

    def ask(self, trial_id: str) -> Mapping[str, Any]:
        """Propose a point."""
        suggestion = self._scheduler.suggest()
        self._scheduler.on_trial_add(SimpleNamespace(trial_id=trial_id))
        return {n: int(v) if isinstance(v, np.integer) else v for n, v in suggestion.config.items()}

    def keeps(self, report: RungReport) -> bool:
        """Let it decide."""
        leakage, loss = score_losses(report.score)
        result = {"step": report.step, "leakage": leakage, "loss": loss}
        return str(self._scheduler.on_trial_result(SimpleNamespace(trial_id=report.trial_id), result)) != "STOP"

    def tell(self, report: RungReport) -> None:
        """It needs no full score."""


class Ax(Peer):
    """Ax with its default generation strategy; no stopping."""

    def __init__(self, problem: Problem, seed: int) -> None:
        from ax.api.client import Client
        from ax.api.configs import RangeParameterConfig

        logging.getLogger("ax").setLevel(logging.ERROR)
        super().__init__(problem, rungs=False)
        self._client = Client(random_seed=seed)
        parameters = []
        self._names: dict[str, str] = {}
        for name, p in self.space.search.items():
            assert isinstance(p, Range)
            self._names[name.replace(".", "_")] = name
            parameters.append(
                RangeParameterConfig(
                    name=name.replace(".", "_"),
                    bounds=(p.low, p.high),
                    parameter_type="int" if p.integer else "float",
                    scaling="log" if p.log else "linear",
                )
            )
        self._client.configure_experiment(parameters=parameters)
        self._client.configure_optimization(objective="-leakage, -loss")
        self._open: dict[str, int] = {}

    def ask(self, trial_id: str) -> Mapping[str, Any]:
        """Propose a point."""
        ((index, params),) = self._client.get_next_trials(max_trials=1).items()
        self._open[trial_id] = index
        return {self._names[name]: value for name, value in params.items()}

    def tell(self, report: RungReport) -> None:
        """Learn a full score."""
        leakage, loss = score_losses(report.score)
        self._client.complete_trial(self._open.pop(report.trial_id), raw_data={"leakage": leakage, "loss": loss})
