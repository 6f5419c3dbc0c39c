"""Studies on a cluster that is reached by its address: nodes are lost and added, and every CPU is used."""

from __future__ import annotations

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


@dataclass(frozen=True)
class ShortBody:
    """A trial body that takes a second, less than a worker's start, and reports its node and how many others ran."""

    folder: str

    def advance(self, job: RungJob) -> RungReport:
        beside = Path(self.folder)
        beside.mkdir(exist_ok=True)
        node = ray.get_runtime_context().get_node_id()
        mine = beside / f"{job.trial_id} {node}"
        mine.touch()
        time.sleep(1)
        number = len(list(beside.iterdir()))
        mine.unlink(missing_ok=True)
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
def cluster(
    processes: Any, patiently: Callable[[Callable[[], Any]], Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cluster]:
    """A head with one CPU, which processes find by its address."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # as elsewhere in these tests
    head = {"num_cpus": 1, "include_dashboard": False}
    made = patiently(lambda: Cluster(initialize_head=True, head_node_args=head))
    processes.environment |= {"RAY_AUTH_MODE": "disabled", "RAY_ADDRESS": made.address}
    try:
        yield made
    finally:
        made.shutdown()


def test_a_study_follows_a_cluster_that_grows_and_shrinks(
    processes: Any, patiently: Callable[[Callable[[], Any]], Any], cluster: Cluster, tmp_path: Path
) -> None:
    folder = tmp_path / "study"
    driver = processes.start("driver", [sys.executable, __file__, str(folder)])

    def wait(condition: Callable[[dict[str, tuple[str, int]]], bool]) -> None:
        processes.wait_until(lambda: condition(running_beside(folder)), "driver", driver)

    wait(lambda done: len(done) >= 3)
    assert {beside for _, beside in running_beside(folder).values()} == {1}
    second = patiently(lambda: cluster.add_node(num_cpus=2))
    wait(lambda done: any(node == second.node_id and beside == 3 for node, beside in done.values()))
    cluster.remove_node(second, allow_graceful=False)
    known = len(running_beside(folder))

    def has_run_alone(done: dict[str, tuple[str, int]]) -> bool:
        for killed in Path(f"{folder}-running").glob(f"* {second.node_id}"):  # a worker outlives its node by moments
            killed.unlink(missing_ok=True)
        return any(beside == 1 for _, beside in list(done.values())[known:])

    wait(has_run_alone)
    driver.send_signal(signal.SIGTERM)
    processes.ended(driver)
    trials = Ledger(folder / "ledger").trials()
    assert not [t for t in trials if t.state is TrialState.FAILED]


if __name__ == "__main__":
    toy = SearchSpace.from_tables(
        {
            "fixed": {"training.num_steps": 90},
            "search": {"penalty.weight": {"low": 0.1, "high": 10.0}},
            "study": {"rungs": False},
        },
        "toy.toml",
    )
    run_study(sys.argv[1], toy, ShortBody(sys.argv[1] + "-running"), StudySettings(num_trials=500, sampler="random"))
