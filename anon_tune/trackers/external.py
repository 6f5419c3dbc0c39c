"""Sends trials to MLflow and Weights & Biases: one run per trial, with the same names and numbers in both."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from anon_tune.errors import UnreachableError, UsageError
from anon_tune.search.space import SearchSpace
from anon_tune.study.settings import StudySettings
from anon_tune.study.watchers import Watcher, Watchers
from anon_tune.study_directory import StudyDirectory
from anon_tune.trackers.tensorboard import TensorBoardFiles, measured, preview_of
from anon_tune.trial import RungReport, Trial, TrialState

_UPLOAD_S = 1800.0  # longest time that the end of a run waits for its data to be sent


class Runs(Protocol):
    """The runs of a tracker, one per trial."""

    def begin(self, trial_id: str, params: Mapping[str, Any]) -> None:
        """Begin the run of a trial with its params."""
        ...

    def log(self, trial_id: str, step: int, numbers: Mapping[str, float]) -> None:
        """Add numbers, by name, to the run of a trial at a training step."""
        ...

    def show(self, trial_id: str, step: int, clip: Path) -> None:
        """Add the moving preview, a WebM file, to the run of a trial."""
        ...

    def end(self, trial_id: str, failed: bool) -> None:
        """End the run of a trial."""
        ...


class Tracker:
    """A watcher that keeps one run per trial: it sends the params, the numbers of each report, the preview, the end.

    Args:
        runs: The runs of MLflow or of Weights & Biases.
        study: The study directory, whose moving previews are sent; None for none.
    """

    def __init__(self, runs: Runs, study: StudyDirectory | None = None) -> None:
        self._runs, self._study = runs, study
        self._under_way: set[str] = set()

    def see(self, trial: Trial, report: RungReport | None) -> None:
        """Send what is new about a trial."""
        if trial.id not in self._under_way:
            if trial.state.is_final and report is None:
                return  # the trial never ran, so it has no run
            self._under_way.add(trial.id)
            self._runs.begin(trial.id, dict(trial.params) or {"method": trial.method})
        if report is not None:
            self._runs.log(trial.id, report.step, {**measured(report), "step": report.step})
            if self._study is not None and report.score.full:
                clip = preview_of(self._study, trial.id)
                if clip is not None:
                    with clip.reading() as path:
                        self._runs.show(trial.id, report.step, path)
        if trial.state.is_final:
            self._under_way.discard(trial.id)
            self._runs.end(trial.id, failed=trial.state is TrialState.FAILED)

    def close(self) -> None:
        """End the runs of all unfinished trials as failed."""
        while self._under_way:
            self._runs.end(self._under_way.pop(), failed=True)


class InBackground:
    """A watcher that passes all calls in order to another watcher, in a thread of its own.

    It keeps a slow server from holding up the study. After an error of the other watcher, the calls that still wait are
    given up, because a server that is gone would let each of them wait for minutes.

    Args:
        watcher: The watcher to call, which may wait for a server.
    """

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._error: Exception | None = None

    def see(self, trial: Trial, report: RungReport | None) -> None:
        """Queue a call of the other watcher.

        Raises:
            Exception: What an earlier call of the other watcher raised.
        """
        self._check()
        self._thread.submit(self._call, self._watcher.see, trial, report)

    def close(self) -> None:
        """Wait until all calls are done, and raise what one of them raised."""
        self._thread.submit(self._call, self._watcher.close)
        self._thread.shutdown()
        self._check()

    def _call(self, call: Callable[..., None], *arguments: object) -> None:
        if self._error is None:
            try:
                call(*arguments)
            except Exception as error:  # raised in the driver's thread, by the next call from there
                self._error = error

    def _check(self) -> None:
        if self._error is not None:
            raise self._error


class MlflowRuns:
    """Runs on an MLflow server or in an MLflow folder.

    Args:
        uri: Tracking URI of the server or folder.
        experiment: Name of the experiment; it is created if it does not exist.
    """

    def __init__(self, uri: str, experiment: str) -> None:
        from mlflow import MlflowClient

        self._client = MlflowClient(tracking_uri=uri)
        found = self._client.get_experiment_by_name(experiment)
        self._experiment_id = found.experiment_id if found else self._client.create_experiment(experiment)
        self._ids: dict[str, str] = {}

    def begin(self, trial_id: str, params: Mapping[str, Any]) -> None:
        """Begin a run that has the id of the trial as its name and as the tag ``trial_name``."""
        from mlflow.entities import Param

        run = self._client.create_run(self._experiment_id, run_name=trial_id, tags={"trial_name": trial_id})
        self._ids[trial_id] = run.info.run_id
        self._client.log_batch(run.info.run_id, params=[Param(name, str(value)) for name, value in params.items()])

    def log(self, trial_id: str, step: int, numbers: Mapping[str, float]) -> None:
        """Log numbers as metrics at a step."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, float(number), now, step) for name, number in numbers.items()]
        self._client.log_batch(self._ids[trial_id], metrics=metrics)

    def show(self, trial_id: str, step: int, clip: Path) -> None:
        """Log the moving preview as an artifact."""
        self._client.log_artifact(self._ids[trial_id], str(clip))

    def end(self, trial_id: str, failed: bool) -> None:
        """End the run of a trial as FINISHED or FAILED."""
        self._client.set_terminated(self._ids.pop(trial_id), "FAILED" if failed else "FINISHED")


class WandbRuns:
    """Runs of Weights & Biases, grouped by study.

    Args:
        project: The project that the user named.
        study: Name of the study.
        prefix: What the ids of its runs begin with, and those of no other study. With it, a resumed study finds its
            runs again.
        folder: A folder in which Weights & Biases creates its folder ``wandb``.

    Raises:
        ValueError: There is no API key.
    """

    def __init__(self, project: str, study: str, prefix: str, folder: Path) -> None:
        import wandb

        offline = os.environ.get("WANDB_MODE") in ("offline", "disabled", "dryrun")
        if not offline and not wandb.login(prompt=False, verify=False):
            raise ValueError("no API key found, neither in WANDB_API_KEY nor from 'wandb login'")
        self._init, self._video = wandb.init, wandb.Video
        self._project, self._study, self._prefix, self._folder = project, study, prefix, folder
        self._settings = wandb.Settings(silent=True, finish_timeout=_UPLOAD_S)
        self._runs: dict[str, Any] = {}

    def begin(self, trial_id: str, params: Mapping[str, Any]) -> None:
        """Begin the run of a trial, or go on with it if it exists."""
        self._runs[trial_id] = self._init(
            project=self._project,
            group=self._study,
            id=f"{self._prefix}-{trial_id}",
            name=trial_id,
            config=dict(params),
            dir=str(self._folder),
            resume="allow",
            reinit="create_new",  # several runs are open at the same time
            allow_val_change=True,
            settings=self._settings,
        )

    def log(self, trial_id: str, step: int, numbers: Mapping[str, float]) -> None:
        """Log numbers at a step."""
        self._runs[trial_id].log(dict(numbers), step=step)

    def show(self, trial_id: str, step: int, clip: Path) -> None:
        """Log the moving preview as a video."""
        self._runs[trial_id].log({"preview": self._video(str(clip), format="webm")}, step=step)

    def end(self, trial_id: str, failed: bool) -> None:
        """End the run of a trial once everything is sent. Weights & Biases does not learn whether the trial failed."""
        self._runs.pop(trial_id).finish()


@contextmanager
def watchers(study: StudyDirectory, here: Path, space: SearchSpace, settings: StudySettings) -> Iterator[Watchers]:
    """Open the trackers that the settings name, and close them when the block ends.

    Args:
        study: The study directory.
        here: Folder on this machine in which the driver collects files for the study directory.
        space: The search space of the study.
        settings: The settings of the study, which name the trackers.

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
    if settings.tensorboard:
        yield "TensorBoard", TensorBoardFiles(StudyDirectory.at(here).tensorboard.path, study)
    if settings.mlflow:
        with _opening("mlflow", settings.mlflow):
            runs = MlflowRuns(settings.mlflow, study.name)
        yield "MLflow", InBackground(Tracker(runs, study))
    if settings.wandb:
        with _opening("wandb", settings.wandb):
            wandb_runs = WandbRuns(settings.wandb, study.name, _wandb_prefix(study, space, settings), here)
        yield "Weights & Biases", InBackground(Tracker(wandb_runs, study))


def _wandb_prefix(study: StudyDirectory, space: SearchSpace, settings: StudySettings) -> str:
    """Return what the ids of the runs begin with; in a study that drew nothing, it follows from place and space."""
    return settings.wandb_prefix or hashlib.sha256(f"{study} {space.fingerprint()}".encode()).hexdigest()[:12]


@contextmanager
def _opening(package: str, value: str) -> Iterator[None]:
    """Turn whatever a tracker raises while it is opened into an error of one line.

    Raises:
        UsageError: The package of the tracker is not installed.
        UnreachableError: The tracker cannot be opened.
    """
    option = f"--{package}"
    if importlib.util.find_spec(package) is None:
        remedy = f"Install the extra: pip install 'anon_tune[{package}]'"
        raise UsageError(option, f"needs the package {package}", remedy=remedy)
    try:
        yield
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UnreachableError(
            option, "cannot be used", value, "Fix the cause, or leave the option out", first
        ) from None
