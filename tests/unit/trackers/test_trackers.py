"""What MLflow and Weights & Biases receive: plain names and numbers, and no key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from anon_tune.errors import UnreachableError, UsageError
from anon_tune.search.space import SearchSpace
from anon_tune.study.settings import StudySettings
from anon_tune.study.watchers import Watchers
from anon_tune.study_directory import StudyDirectory
from anon_tune.trackers import external as trackers
from anon_tune.trial import LossPoint, Reading, RungReport, Score, Trial, TrialState

SPACE = SearchSpace.from_tables({"search": {"penalty.weight": {"low": 0.1, "high": 10.0}}}, "toy.toml")
READING = Reading(0.6, 0.2, 1.0, 0.5, 0.7, 0.62)
PARAMS: dict[str, Any] = {"penalty.weight": 0.5, "penalty.on": "pixels"}


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


def test_mlflow_is_told_of_params_numbers_and_ends(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
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
    directory.mkdir()
    with trackers.watchers(
        StudyDirectory.at(directory), directory, SPACE, StudySettings(wandb="anonymizers", tensorboard=False)
    ) as told:
        tell(told)
    assert len(list((directory / "wandb").glob("offline-run-*/*.wandb"))) == 3
    content = b"".join(file.read_bytes() for file in (directory / "wandb").rglob("*.wandb") if file.is_file())
    assert b"penalty.weight" in content and b"full/leakage" in content
    logs = Path(ray._private.worker._global_node.get_logs_dir_path())
    for file in (*directory.rglob("*"), *logs.rglob("*")):
        assert not file.is_file() or key.encode() not in file.read_bytes(), file
