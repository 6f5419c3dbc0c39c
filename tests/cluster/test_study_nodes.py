"""A study on a cluster of two nodes, reached by its address; one node is lost on the way."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from anon_tune.ledger import Ledger
from anon_tune.study.run import run_study
from anon_tune.study.settings import StudySettings
from anon_tune.study.space import SearchSpace
from anon_tune.trial import Reading, RungJob, RungReport, Score, TrialState

pytestmark = pytest.mark.cluster


class SlowBody:
    """Takes a while at each rung and says on which node; the first trial waits for the second to run beside it."""

    def advance(self, job: RungJob) -> RungReport:
        import ray

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


def test_a_lost_node_costs_no_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        second = cluster.add_node(num_cpus=1)
        environment = os.environ | {"RAY_ADDRESS": cluster.address}
        driver = subprocess.Popen([sys.executable, __file__, str(tmp_path)], env=environment)
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


if __name__ == "__main__":
    toy = SearchSpace.from_tables(
        {
            "fixed": {"training.num_steps": 90},
            "search": {"penalty.weight": {"low": 0.1, "high": 10.0}},
            "study": {"rungs": {"min_steps": 10, "factor": 3}},
        },
        "toy.toml",
    )
    run_study(sys.argv[1], toy, SlowBody(), StudySettings(num_trials=4, sampler="random"))
