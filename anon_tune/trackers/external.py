"""MLflow and Weights & Biases: one run per trial, with plain names and numbers only."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from anon_tune.errors import UnreachableError, UsageError
from anon_tune.search.space import SearchSpace
from anon_tune.study.settings import StudySettings
from anon_tune.study.watchers import Watcher, Watchers
from anon_tune.study_directory import StudyDirectory
from anon_tune.trackers.tensorboard import TensorBoardFiles, measured
from anon_tune.trial import RungReport, Trial, TrialState

_UPLOAD_S = 1800.0  # how long the end of a run may wait for what is yet to be sent


class Runs(Protocol):
    """Runs of a tracker, by the trials they are of."""

    def begin(self, trial_id: str, params: Mapping[str, Any]) -> None:
        """Begin the run of a trial."""
        ...

    def log(self, trial_id: str, step: int, numbers: Mapping[str, float]) -> None:
        """Add numbers to a run."""
        ...

    def end(self, trial_id: str, failed: bool) -> None:
        """End a run."""
        ...


class Tracker:
    """A watcher that keeps a run for each trial: params, then numbers as they come, then the end.

    Args:
        runs: Of the tracker.
    """

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._under_way: set[str] = set()

    def see(self, trial: Trial, report: RungReport | None) -> None:
        """Pass on."""
        if trial.id not in self._under_way:
            if trial.state.is_final and report is None:
                return  # it never ran
            self._under_way.add(trial.id)
            self._runs.begin(trial.id, dict(trial.params) or {"method": trial.method})
        if report is not None:
            self._runs.log(trial.id, report.step, {**measured(report), "step": report.step})
        if trial.state.is_final:
            self._under_way.discard(trial.id)
            self._runs.end(trial.id, failed=trial.state is TrialState.FAILED)

    def close(self) -> None:
        """End the runs of trials that are unfinished."""
        while self._under_way:
            self._runs.end(self._under_way.pop(), failed=True)


class InBackground:
    """A watcher that calls another, possibly slow watcher in order, in a thread of its own.

    An error of that watcher is raised at the next call.

    Args:
        watcher: May wait for a server.
    """

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._calls: list[Future[None]] = []

    def see(self, trial: Trial, report: RungReport | None) -> None:
        """Pass on, later."""
        done = [call for call in self._calls if call.done()]
        self._calls = [call for call in self._calls if call not in done]
        for call in done:
            call.result()
        self._calls.append(self._thread.submit(self._watcher.see, trial, report))

    def close(self) -> None:
        """Wait until all is passed on."""
        self._calls.append(self._thread.submit(self._watcher.close))
        self._thread.shutdown()
        for call in self._calls:
            call.result()


class MlflowRuns:
    """Runs of an MLflow server or folder.

    Args:
        uri: Of the server or folder.
        experiment: Name of the experiment, which is made if it is not there.
    """

    def __init__(self, uri: str, experiment: str) -> None:
        from mlflow import MlflowClient

        self._client = MlflowClient(tracking_uri=uri)
        found = self._client.get_experiment_by_name(experiment)
        self._experiment_id = found.experiment_id if found else self._client.create_experiment(experiment)
        self._ids: dict[str, str] = {}

    def begin(self, trial_id: str, params: Mapping[str, Any]) -> None:
        """Begin a run of the trial's name, tagged with it."""
        from mlflow.entities import Param

        run = self._client.create_run(self._experiment_id, run_name=trial_id, tags={"trial_name": trial_id})
        self._ids[trial_id] = run.info.run_id
        self._client.log_batch(run.info.run_id, params=[Param(name, str(value)) for name, value in params.items()])

    def log(self, trial_id: str, step: int, numbers: Mapping[str, float]) -> None:
        """Log metrics at a step."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, float(number), now, step) for name, number in numbers.items()]
        self._client.log_batch(self._ids[trial_id], metrics=metrics)

    def end(self, trial_id: str, failed: bool) -> None:
        """End a run as FINISHED or FAILED."""
        self._client.set_terminated(self._ids.pop(trial_id), "FAILED" if failed else "FINISHED")


class WandbRuns:
    """Runs of Weights & Biases, grouped by the study.

    Args:
        project: Of the user.
        study: Name of the study.
        key: Unique to the study, so that a resumed one goes on with its runs.
        folder: Gets a folder ``wandb``.
    """

    def __init__(self, project: str, study: str, key: str, folder: Path) -> None:
        import wandb

        offline = os.environ.get("WANDB_MODE") in ("offline", "disabled", "dryrun")
        if not offline and not wandb.login(prompt=False, verify=False):
            raise ValueError("no API key found, neither in WANDB_API_KEY nor from 'wandb login'")
        self._init = wandb.init
        self._project, self._study, self._key, self._folder = project, study, key, folder
        self._settings = wandb.Settings(silent=True, finish_timeout=_UPLOAD_S)
        self._runs: dict[str, Any] = {}

    def begin(self, trial_id: str, params: Mapping[str, Any]) -> None:
        """Begin or go on with the run of a trial."""
        self._runs[trial_id] = self._init(
            project=self._project,
            group=self._study,
            id=f"{self._key}-{trial_id}",
            name=trial_id,
            config=dict(params),
            dir=str(self._folder),
            resume="allow",
            reinit="create_new",  # many trials run at a time
            allow_val_change=True,
            settings=self._settings,
        )

    def log(self, trial_id: str, step: int, numbers: Mapping[str, float]) -> None:
        """Log numbers at a step."""
        self._runs[trial_id].log(dict(numbers), step=step)

    def end(self, trial_id: str, failed: bool) -> None:
        """End a run, when all is sent; how its trial ended is not told."""
        self._runs.pop(trial_id).finish()


@contextmanager
def watchers(study: StudyDirectory, here: Path, space: SearchSpace, settings: StudySettings) -> Iterator[Watchers]:
    """Give everybody that the settings name, and end what they do with the block.

    Args:
        study: The study directory.
        here: Where on this machine the driver writes what goes there.
        space: What is searched.
        settings: Who is to be told.

    Raises:
        UsageError: A package is not installed.
        UnreachableError: A tracker does not answer.
    """
    told = Watchers()
    try:
        for name, watcher in _opened(study, here, space, settings):
            told.add(name, watcher)
        yield told
    finally:
        told.close()


def _opened(
    study: StudyDirectory, here: Path, space: SearchSpace, settings: StudySettings
) -> Iterator[tuple[str, Watcher]]:
    # A study is known by where it is and what it searches: another one of that name gets runs of its own.
    key = hashlib.sha256(f"{study} {space.fingerprint()}".encode()).hexdigest()[:12]
    if settings.tensorboard:
        yield "TensorBoard", TensorBoardFiles(StudyDirectory.at(here).tensorboard.path)
    if settings.mlflow:
        with _opening("mlflow", settings.mlflow):
            runs = MlflowRuns(settings.mlflow, study.name)
        yield "MLflow", Tracker(runs)
    if settings.wandb:
        with _opening("wandb", settings.wandb):
            wandb_runs = WandbRuns(settings.wandb, study.name, key, here)
        yield "Weights & Biases", InBackground(Tracker(wandb_runs))


@contextmanager
def _opening(package: str, value: str) -> Iterator[None]:
    """Turn what a tracker raises, each its own kinds, into one line."""
    option = f"--{package}"
    if importlib.util.find_spec(package) is None:
        raise UsageError(option, f"needs the package {package}", remedy=f"pip install 'anon_tune[{package}]'")
    try:
        yield
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UnreachableError(option, "cannot be used", value, "Fix that, or leave the option out", first) from None
