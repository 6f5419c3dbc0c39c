"""What MLflow and Weights & Biases receive: plain names and numbers, and no key."""

from __future__ import annotations

import io
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from anon_tune.errors import UnreachableError, UsageError
from anon_tune.search.space import SearchSpace
from anon_tune.study.settings import StudySettings
from anon_tune.study.watchers import Watchers
from anon_tune.study_directory import StudyDirectory
from anon_tune.trackers import external as trackers
from anon_tune.trackers.optuna_storage import OptunaMirror, open_storage
from anon_tune.trial import LossPoint, Reading, RungReport, Score, Trial, TrialState
from anon_tune.video.looping import looping_webm

SPACE = SearchSpace.from_tables({"search": {"penalty.weight": {"low": 0.1, "high": 10.0}}}, "toy.toml")
READING = Reading(0.6, 0.2, 1.0, 0.5, 0.7, 0.62)
PARAMS: dict[str, Any] = {"penalty.weight": 0.5, "penalty.on": "pixels"}


def write_preview(study: StudyDirectory, trial_id: str) -> bytes:
    """Write a moving preview of three frames."""
    frames = np.random.default_rng(0).integers(0, 256, (3, 16, 32, 3), dtype=np.uint8)
    preview = looping_webm(frames, 8)
    study.trial(trial_id).moving_preview.write(preview)
    return preview


def tell(told: Watchers) -> None:
    """Tell of a trial that completes, one that fails at its first rung, one that never ran, and one under way."""
    for name, last in (("0000", TrialState.COMPLETE), ("0001", TrialState.FAILED), ("0003", TrialState.RUNNING)):
        trial = Trial(name, int(name), "adversarial", PARAMS, "f", TrialState.RUNNING)
        told.see(trial)
        for rung in (0, 1):
            score = Score(rung == 1, READING, READING, {"frame": 0.6}, {"skin": 0.6}, 0.1, 8, 4, 0, 1.0)
            made = RungReport(name, rung, 10 * (rung + 1), score, (LossPoint(1, {"utility": 1.0}),), 7.0, "here", "x")
            if last is TrialState.FAILED:
                told.see(replace(trial, state=last, reason="ValueError"))
                break
            told.see(replace(trial, state=last if rung else TrialState.RUNNING), made)
    told.see(Trial("0002", 2, "adversarial", PARAMS, "f", TrialState.FAILED, reason="values do not go together"))


def test_mlflow_is_told_of_params_numbers_ends_and_previews(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.chdir(tmp_path)  # MLflow keeps the artifacts of such a server in the current folder
    preview = write_preview(StudyDirectory.at(tmp_path / "first"), "0000")
    settings = StudySettings(mlflow=uri, tensorboard=False)
    with trackers.watchers(StudyDirectory.at(tmp_path / "first"), tmp_path, SPACE, settings) as told:
        tell(told)
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("first")
    runs = {run.data.tags["trial_name"]: run for run in client.search_runs([experiment.experiment_id])}
    assert {name: run.info.status for name, run in runs.items()} == {
        "0000": "FINISHED",
        "0001": "FAILED",
        "0003": "FAILED",
    }
    run = runs["0000"]
    assert run.data.params == {"penalty.weight": "0.5", "penalty.on": "pixels"}
    assert run.data.metrics["full/leakage"] == 0.6
    assert run.data.metrics["rung/accuracy_normalized"] == pytest.approx(0.5)
    assert [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "job_seconds")] == [(10, 7), (20, 7)]
    assert Path(client.download_artifacts(run.info.run_id, "preview.webm")).read_bytes() == preview
    assert client.list_artifacts(runs["0003"].info.run_id) == []


def test_tensorboard_shows_the_moving_preview_of_a_full_score_as_an_animated_gif(tmp_path: Path) -> None:
    study = StudyDirectory.at(tmp_path / "first")
    write_preview(study, "0000")
    with trackers.watchers(study, tmp_path / "first", SPACE, StudySettings()) as told:
        tell(told)
    (file,) = study.tensorboard.path.glob("0000/*")
    images = EventAccumulator(str(file), {"images": 0}).Reload().Images("preview")
    assert [image.step for image in images] == [20]
    with Image.open(io.BytesIO(images[0].encoded_image_string)) as gif:
        assert (gif.n_frames, gif.size, gif.info["loop"], gif.info["duration"]) == (3, (32, 16), 0, 120)


def test_a_storage_that_is_locked_when_a_study_begins_is_one_line(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path}/study.db?timeout=0.1", tmp_path)
    with closing(sqlite3.connect(tmp_path / "study.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UnreachableError, match=r"--storage: cannot be written: .* the ledger has everything"):
            OptunaMirror(SPACE, storage, "first")


def test_the_moving_preview_is_an_artifact_of_the_optuna_trial(tmp_path: Path) -> None:
    study = StudyDirectory.at(tmp_path / "first")
    preview = write_preview(study, "0000")
    mirror = OptunaMirror(SPACE, optuna.storages.InMemoryStorage(), "first", study)
    for name in ("0000", "0001"):
        mirror.end(Trial(name, int(name), "adversarial", {"penalty.weight": 0.5}, "f", TrialState.PRUNED))
    shown, plain = (
        optuna.artifacts.get_all_artifact_meta(trial, storage=mirror.study._storage)
        for trial in mirror.study.get_trials()
    )
    assert plain == [] and [(one.filename, one.mimetype) for one in shown] == [("preview.webm", "video/webm")]
    assert (study.artifacts.path / shown[0].artifact_id).read_bytes() == preview


@pytest.mark.parametrize(("option", "package"), [("mlflow", "mlflow"), ("wandb", "wandb")], ids=["mlflow", "wandb"])
def test_a_package_that_is_not_there_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, package: str
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    settings = StudySettings(**{option: "somewhere", "tensorboard": False})
    wanted = rf"--{option}: needs the package {package}. Install the extra: pip install 'anon_tune[{package}]'."
    with (
        pytest.raises(UsageError, match=f"^{re.escape(wanted)}$"),
        trackers.watchers(StudyDirectory.at(tmp_path), tmp_path, SPACE, settings),
    ):
        pass


def test_a_tracker_that_cannot_be_reached_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    settings = StudySettings(mlflow="http://127.0.0.1:9", tensorboard=False)
    with (
        pytest.raises(UnreachableError, match=r"^--mlflow: cannot be used: .*") as error,
        trackers.watchers(StudyDirectory.at(tmp_path), tmp_path, SPACE, settings),
    ):
        pass
    assert "\n" not in str(error.value)


class StuckRuns:
    """Runs on a server that does not answer until it is let go, and then fails."""

    def __init__(self, *_: object) -> None:
        self.is_let_go, self.begun = threading.Event(), list[str]()

    def begin(self, trial_id: str, params: object) -> None:
        self.begun.append(trial_id)
        self.is_let_go.wait(30)
        raise ConnectionError("the server is gone")


@pytest.mark.parametrize("tracker", ["mlflow", "wandb"])
def test_a_server_that_does_not_answer_holds_nothing_up_and_is_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tracker: str
) -> None:
    runs = StuckRuns()
    monkeypatch.setattr(trackers, f"{tracker.capitalize()}Runs", lambda *_: runs)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: True)
    settings = StudySettings(**{tracker: "somewhere", "tensorboard": False})
    with trackers.watchers(StudyDirectory.at(tmp_path), tmp_path, SPACE, settings) as told:
        began = time.monotonic()
        tell(told)
        assert time.monotonic() - began < 10
        runs.is_let_go.set()
    assert runs.begun == ["0000"]
    (said,) = caplog.messages
    assert "could not be finished: ConnectionError: the server is gone" in said


def test_the_ids_of_wandb_runs_begin_with_what_the_study_has_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefixes: list[str] = []
    monkeypatch.setattr(trackers, "WandbRuns", lambda project, study, prefix, folder: prefixes.append(prefix))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: True)
    for drawn in ("0a1b", None, None):
        settings = StudySettings(wandb="anonymizers", wandb_prefix=drawn, tensorboard=False)
        with trackers.watchers(StudyDirectory.at(tmp_path), tmp_path, SPACE, settings):
            pass
    assert prefixes[0] == "0a1b" != prefixes[1] == prefixes[2]


@pytest.fixture
def local_ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a" * 32)  # so that none is written into the home folder
    ray.shutdown()  # one that other tests share knows nothing of this test's environment
    ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()


@pytest.mark.cluster
def test_wandb_leaves_files_and_its_key_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    pytest.importorskip("wandb")
    import ray

    key = "b" * 11 + "7261" + "c" * 25
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_API_KEY", key)
    request.getfixturevalue("local_ray")
    directory = tmp_path / "first"
    preview = write_preview(StudyDirectory.at(directory), "0000")
    with trackers.watchers(
        StudyDirectory.at(directory), directory, SPACE, StudySettings(wandb="anonymizers", tensorboard=False)
    ) as told:
        tell(told)
    assert len(list((directory / "wandb").glob("offline-run-*/*.wandb"))) == 3
    assert [file.read_bytes() for file in (directory / "wandb").rglob("*.webm")] == [preview]
    content = b"".join(file.read_bytes() for file in (directory / "wandb").rglob("*.wandb") if file.is_file())
    assert b"penalty.weight" in content and b"full/leakage" in content
    logs = Path(ray._private.worker._global_node.get_logs_dir_path())
    for file in (*directory.rglob("*"), *logs.rglob("*")):
        assert not file.is_file() or key.encode() not in file.read_bytes(), file
