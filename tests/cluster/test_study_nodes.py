"""Studies on a cluster that is reached by its address: nodes are lost and added, and every CPU is used."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    """A trial body that is slow at each rung and reports its node; it waits until both nodes have a trial."""

    def advance(self, job: RungJob) -> RungReport:
        directory = Path(job.directory)
        node = ray.get_runtime_context().get_node_id()
        if job.trial_id.isdigit():
            (directory / f"on {node}").touch()
            while len({file.name for file in directory.parent.glob("*/on *")}) < 2:
                time.sleep(0.1)
        time.sleep(0.5)
        value = 0.5 if job.recipe.method == "black-out" else 0.9
        reading = Reading(value, 0.2, 1.0, value, value, value)
        score = Score(job.full, reading, reading, {}, {}, 0.0, 1, 1, 0, 0.1)
        return RungReport(job.trial_id, job.rung, job.step, score, (), 0.5, node, "")


@dataclass(frozen=True)
class ShortBody:
    """A trial body that takes a second, less than a worker's start, and reports its node and how many others ran."""

    folder: str

    def advance(self, job: RungJob) -> RungReport:
        beside = Path(self.folder)
        beside.mkdir(exist_ok=True)
        node = ray.get_runtime_context().get_node_id()
        mine = beside / f"{job.trial_id} {node} {os.getpid()}"
        mine.touch()
        time.sleep(1)
        number = len(list(beside.iterdir()))
        mine.unlink()
        value = 0.5 if job.recipe.method == "black-out" else 0.9
        reading = Reading(value, 0.2, 1.0, value, value, value)
        score = Score(job.full, reading, reading, {}, {}, 0.0, number, 1, 0, 0.1)
        return RungReport(job.trial_id, job.rung, job.step, score, (), 1.0, node, "")


def running_beside(folder: Path) -> dict[str, tuple[str, int]]:
    """Return, for every trial measured so far in this order, its node and how many trials ran when it ended."""
    trials = Ledger(folder / "ledger").trials() if folder.exists() else []
    in_order = sorted(trials, key=lambda t: t.ended)
    return {t.id: (r.node, r.score.num_train_clips) for t in in_order for r in t.reports}


@pytest.fixture
def cluster(processes: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A head with one CPU, which processes find by its address."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    processes.environment |= {"RAY_AUTH_MODE": "disabled", "RAY_ADDRESS": made.address}
    try:
        yield made
    finally:
        made.shutdown()


def test_a_lost_node_costs_no_trial(processes: Any, cluster: Cluster, tmp_path: Path) -> None:
    second = cluster.add_node(num_cpus=1)
    driver = processes.start("driver", [sys.executable, __file__, str(tmp_path), "slow"])

    def has_run_a_trial() -> bool:
        # An anchor's report is too early: with one node left trials would wait for the other one for ever.
        trials = [t for t in Ledger(tmp_path / "ledger").trials() if t.number >= 0]
        return any(r.node == second.node_id for t in trials for r in t.reports)

    processes.wait_until(has_run_a_trial, "driver", driver)
    cluster.remove_node(second, allow_graceful=False)
    assert processes.ended(driver) == 0
    trials = Ledger(tmp_path / "ledger").trials()
    assert [t.id for t in trials] == ["black-out", "identity", "0000", "0001", "0002", "0003"]
    assert all(t.state is TrialState.COMPLETE for t in trials)


def test_a_study_follows_a_cluster_that_grows_and_shrinks(processes: Any, cluster: Cluster, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    driver = processes.start("driver", [sys.executable, __file__, str(folder), "short"])

    def wait(condition: Callable[[dict[str, tuple[str, int]]], bool]) -> None:
        processes.wait_until(lambda: condition(running_beside(folder)), "driver", driver)

    wait(lambda done: len(done) >= 3)
    assert {beside for _, beside in running_beside(folder).values()} == {1}
    second = cluster.add_node(num_cpus=2)
    wait(lambda done: any(node == second.node_id and beside == 3 for node, beside in done.values()))
    cluster.remove_node(second, allow_graceful=False)
    left_behind = list(Path(f"{folder}-running").glob(f"* {second.node_id} *"))
    processes.wait_until_gone(int(file.name.split()[-1]) for file in left_behind)
    for file in left_behind:
        file.unlink(missing_ok=True)
    known = len(running_beside(folder))
    wait(lambda done: len(done) >= known + 4)
    assert [beside for _, beside in running_beside(folder).values()][-1] == 1
    driver.send_signal(signal.SIGTERM)
    processes.ended(driver)
    trials = Ledger(folder / "ledger").trials()
    assert not [t for t in trials if t.state is TrialState.FAILED]


def test_trials_shorter_than_a_workers_start_still_run_side_by_side(processes: Any, tmp_path: Path) -> None:
    study = tmp_path / "study"
    driver = processes.start("driver", [sys.executable, __file__, str(study), "wide"])
    processes.wait_until(lambda: any(beside >= 3 for _, beside in running_beside(study).values()), "driver", driver)


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
        os.environ["RAY_AUTH_TOKEN"] = "a" * 32  # so that none is written into the home folder
        ray.init("local", num_cpus=4, include_dashboard=False, log_to_driver=False)
        run_study(sys.argv[1], toy, short, StudySettings(num_trials=40, sampler="random"))
