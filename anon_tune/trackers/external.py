"""MLflow and Weights & Biases, told through Ray's own callbacks for them, which see plain names and numbers only."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ray.tune.logger import LoggerCallback

from anon_tune.errors import StudyError
from anon_tune.folder import Folder
from anon_tune.search.space import SearchSpace
from anon_tune.study.settings import StudySettings
from anon_tune.study.watchers import Watcher, Watchers
from anon_tune.trackers.tensorboard import TensorBoardFiles, measured
from anon_tune.trial import RungReport, Trial

_KEY = "WANDB_API_KEY"


@dataclass(eq=False)
class _PlainTrial:
    """What the callbacks ask of one of Tune's trials, in the place of which it stands."""

    name: str
    trial_id: str
    experiment_dir_name: str
    local_path: str
    config: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


class Tracker:
    """A watcher that passes on to one of Ray's callbacks: params, then numbers as they come, then the end.

    Args:
        callback: A `LoggerCallback` of Ray's, set up.
        study: Name of the study.
        key: Unique to the study, so that a resumed one goes on with its runs where the tracker allows it.
        folder: Where a tracker may leave files.
    """

    def __init__(self, callback: Any, study: str, key: str, folder: Path) -> None:
        self._callback, self._study, self._key, self._folder = callback, study, key, folder
        self._under_way: dict[str, _PlainTrial] = {}

    def see(self, trial: Trial, report: RungReport | None) -> None:
        """Pass on."""
        if trial.id not in self._under_way:
            if trial.state.is_final and report is None:
                return  # it never ran
            config = dict(trial.params) or {"method": trial.method}
            plain = _PlainTrial(trial.id, f"{self._key}-{trial.id}", self._study, str(self._folder), config)
            self._under_way[trial.id] = plain
            self._callback.log_trial_start(plain)
        plain = self._under_way[trial.id]
        if report is not None:
            numbers = {**measured(report), "step": report.step, "training_iteration": report.step}
            self._callback.log_trial_result(report.rung, plain, numbers)
        if trial.state.is_final:
            self._callback.log_trial_end(self._under_way.pop(trial.id), failed=trial.state.value == "FAILED")

    def close(self) -> None:
        """End the runs of trials that are unfinished, and wait until all is sent."""
        for plain in self._under_way.values():
            self._callback.log_trial_end(plain, failed=True)
        self._under_way.clear()
        self._callback.on_experiment_end(trials=[])


@contextmanager
def watchers(folder: Folder, desk: Path, space: SearchSpace, settings: StudySettings) -> Iterator[Watchers]:
    """Give everybody that the settings name, and end what they do with the block.

    Args:
        folder: The study directory.
        desk: Where on this machine the driver writes what goes there.
        space: What is searched.
        settings: Who is to be told.

    Raises:
        StudyError: A package is not installed, or a tracker cannot be reached.
    """
    # A study is known by where it is and what it searches: another one of that name gets runs of its own.
    key = hashlib.sha256(f"{folder} {space.fingerprint()}".encode()).hexdigest()[:12]
    found: list[tuple[str, Watcher]] = []
    if settings.tensorboard:
        found.append(("TensorBoard", TensorBoardFiles(desk / "tensorboard")))
    if settings.mlflow:
        found.append(("MLflow", Tracker(_mlflow(settings.mlflow, folder.name), folder.name, key, desk)))
    if settings.wandb:
        found.append(("Weights & Biases", Tracker(_wandb(settings.wandb, folder.name, desk), folder.name, key, desk)))
    told = Watchers(found)
    # Ray's callback would put the key of W&B into a runtime environment, which Ray writes into its logs.
    api_key = os.environ.pop(_KEY, None) if settings.wandb else None
    try:
        yield told
    finally:
        told.close()
        if api_key is not None:
            os.environ[_KEY] = api_key


def _mlflow(uri: str, experiment: str) -> LoggerCallback:
    _need("mlflow", "--mlflow")
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    callback = MLflowLoggerCallback(tracking_uri=uri, experiment_name=experiment)
    return _set_up(callback, "--mlflow", uri)


def _wandb(project: str, study: str, desk: Path) -> LoggerCallback:
    _need("wandb", "--wandb")
    from ray.air.integrations.wandb import WandbLoggerCallback

    settings = {}
    if key := os.environ.get(_KEY):
        import wandb

        settings["settings"] = wandb.Settings(api_key=key)
    callback = WandbLoggerCallback(project=project, group=study, resume="allow", **settings)
    (desk / "wandb").mkdir(exist_ok=True)
    return _set_up(callback, "--wandb", project)


def _set_up(callback: LoggerCallback, option: str, value: str) -> LoggerCallback:
    try:
        callback.setup()
    except Exception as error:  # every tracker raises its own kinds
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StudyError(option, f"cannot be used: {first}", value, "Mend that, or leave the option out") from None
    return callback


def _need(package: str, option: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise StudyError(option, f"needs the package {package}", remedy=f"pip install 'anon_tune[{package}]'")
