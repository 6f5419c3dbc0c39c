"""Studies on a cluster reached by its address: a node is lost, nodes come and go, and every CPU is used."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster

from anon_tune.driver.run import run_study
from anon_tune.ledger import Ledger
from anon_tune.search.space import SearchSpace
from anon_tune.study.settings import StudySettings
from anon_tune.trial import Reading, RungJob, RungReport, Score, TrialState

pytestmark = pytest.mark.cluster


class SlowBody:
    """Takes a while at each rung and says on which node; the first trial waits for the second to run beside it."""

    def advance(self, job: RungJob) -> RungReport:
        directory = Path(job.directory)
        (directory / "here").touch()
        while job.trial == "0000" and not (directory.parent / "0001" / "here").exists():
            time.sleep(0.1)
        time.sleep(0.5)
        value = 0.5 if job.recipe.method == "black-out" else 0.9
        reading = Reading(value, 0.2, 1.0, value, value, value)
        score = Score(job.full, reading, reading, {}, {}, 0.0, 1, 1, 0, 0.1)
        node = ray.get_runtime_context().get_node_id()
        return RungReport(job.trial, job.rung, job.step, score, (), 0.5, node, "")


@dataclass(frozen=True)
class ShortBody:
    """Takes a second, far less than a worker to start, and says where it ran and beside how many others."""

    folder: str

    def advance(self, job: RungJob) -> RungReport:
        beside = Path(self.folder)
        beside.mkdir(exist_ok=True)
        (beside / job.trial).touch()
        time.sleep(1)
        number = len(list(beside.iterdir()))
        (beside / job.trial).unlink(missing_ok=True)
        value = 0.5 if job.recipe.method == "black-out" else 0.9
        reading = Reading(value, 0.2, 1.0, value, value, value)
        score = Score(job.full, reading, reading, {}, {}, 0.0, number, 1, 0, 0.1)
        node = ray.get_runtime_context().get_node_id()
        return RungReport(job.trial, job.rung, job.step, score, (), 1.0, node, "")


def running_beside(folder: Path) -> dict[str, tuple[str, int]]:
    """Return of every trial measured so far, in that order, where it ran and how many were running when it ended."""
    trials = Ledger(folder / "ledger").trials() if folder.exists() else []
    in_order = sorted(trials, key=lambda t: t.ended)
    return {t.id: (r.node, r.score.num_train_clips) for t in in_order for r in t.reports}


def test_a_lost_node_costs_no_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        second = cluster.add_node(num_cpus=1)
        environment = os.environ | {"RAY_ADDRESS": cluster.address}
        driver = subprocess.Popen([sys.executable, __file__, str(tmp_path), "slow"], env=environment)
        deadline = time.monotonic() + 100
        # An anchor's report is too early: with one node left the first trial would wait for the second for ever.
        while not any(
            r.node == second.node_id for t in Ledger(tmp_path / "ledger").trials() if t.number >= 0 for r in t.reports
        ):
            assert driver.poll() is None, "the driver ended by itself"
            assert time.monotonic() < deadline
            time.sleep(0.1)
        cluster.remove_node(second, allow_graceful=False)
        assert driver.wait(100) == 0
        trials = Ledger(tmp_path / "ledger").trials()
        assert [t.id for t in trials] == ["black-out", "identity", "0000", "0001", "0002", "0003"]
        assert all(t.state is TrialState.COMPLETE for t in trials)
    finally:
        cluster.shutdown()


def test_a_study_follows_a_cluster_that_grows_and_shrinks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    folder = tmp_path / "study"

    def wait(condition: Callable[[dict[str, tuple[str, int]]], bool]) -> None:
        deadline = time.monotonic() + 150
        while not condition(running_beside(folder)):
            assert driver.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)

    try:
        environment = os.environ | {"RAY_ADDRESS": cluster.address}
        driver = subprocess.Popen([sys.executable, __file__, str(folder), "short"], env=environment)
        wait(lambda done: len(done) >= 3)
        assert {beside for _, beside in running_beside(folder).values()} == {1}
        second = cluster.add_node(num_cpus=2)
        wait(lambda done: any(node == second.node_id and beside == 3 for node, beside in done.values()))
        cluster.remove_node(second, allow_graceful=False)
        time.sleep(3)  # the workers of a node that is gone may live a moment longer
        for left_behind in Path(f"{folder}-running").iterdir():
            left_behind.unlink(missing_ok=True)
        known = len(running_beside(folder))
        wait(lambda done: len(done) >= known + 4)
        assert [beside for _, beside in running_beside(folder).values()][-1] == 1
        driver.send_signal(signal.SIGTERM)
        driver.wait(60)
        trials = Ledger(folder / "ledger").trials()
        assert not [t for t in trials if t.state is TrialState.FAILED]
    finally:
        cluster.shutdown()


def test_trials_shorter_than_a_workers_start_still_run_side_by_side(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    command = [sys.executable, __file__, str(tmp_path / "study"), "wide"]
    subprocess.run(command, env=environment, timeout=200, check=True)
    assert max(beside for _, beside in running_beside(tmp_path / "study").values()) >= 3


if __name__ == "__main__":
    toy = SearchSpace.from_tables(
        {
            "fixed": {"training.num_steps": 90},
            "search": {"penalty.weight": {"low": 0.1, "high": 10.0}},
            "study": {"rungs": {"min_steps": 10, "factor": 3} if sys.argv[2] == "slow" else False},
        },
        "toy.toml",
    )
    short = ShortBody(sys.argv[1] + "-running")
    if sys.argv[2] == "slow":
        run_study(sys.argv[1], toy, SlowBody(), StudySettings(num_trials=4, sampler="random"))
    elif sys.argv[2] == "short":
        run_study(sys.argv[1], toy, short, StudySettings(num_trials=500, sampler="random"))
    else:
        ray.init("local", num_cpus=4, include_dashboard=False, log_to_driver=False)
        run_study(sys.argv[1], toy, short, StudySettings(num_trials=40, sampler="random"))
