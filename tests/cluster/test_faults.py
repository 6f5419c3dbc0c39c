"""Faults of a cluster: workers that hang, run out of memory or are killed, lost nodes, killed drivers, torn files.

Each kind once; `make soak` repeats those that end a process.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import ray
import ray.cloudpickle

from anon_tune.driver.run import run_study
from anon_tune.ledger import Ledger
from anon_tune.search.space import SearchSpace
from anon_tune.study.settings import StudySettings
from anon_tune.trial import Reading, RungJob, RungReport, Score, TrialState

pytestmark = pytest.mark.cluster
if __name__ != "__main__":  # workers cannot import a test module
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])

LIMIT_S = 6.0  # much longer than an empty job takes, even on a busy machine
NUM_TRIALS = 8


SPACE = SearchSpace.from_tables(
    {
        "fixed": {"training.num_steps": 90},
        "search": {"penalty.weight": {"low": 0.1, "high": 10.0, "log": True}},
        "study": {"rungs": {"min_steps": 10, "factor": 2, "promote": True}},
    },
    "toy.toml",
)


@dataclass(frozen=True)
class Body:
    """A trial body with a noisy trade-off; some trials have a fault at their second rung.

    Without noise no trial dominates another, and all get there, in whatever order they run.
    """

    trouble: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0
    noise: float = 0.1

    def advance(self, job: RungJob) -> RungReport:
        time.sleep(self.seconds)
        if job.rung == 1:
            _meet(dict(self.trouble).get(job.trial_id, ""), Path(job.directory))
        noise = random.Random(f"{job.trial_id} {job.rung}")
        place = job.recipe.penalty.weight.start / 10
        leakage, accuracy = (
            0.4 + 0.4 * place + noise.gauss(0, self.noise),
            0.5 + 0.4 * place + noise.gauss(0, self.noise),
        )
        readings = [Reading(v, 0.2, 0.95, v, v, v) for v in (leakage, accuracy)]
        score = Score(job.full, *readings, {}, {}, 0.1, 1, 1, 0, 0.1, seconds_per_frame=0.01)
        return RungReport(job.trial_id, job.rung, job.step, score, (), self.seconds, "here", "")


def _meet(trouble: str, directory: Path) -> None:
    met = directory / "met"
    if trouble.endswith("once") and met.exists():
        return
    met.touch()
    if trouble.startswith("hangs"):
        time.sleep(100)
    elif trouble == "runs out of memory":
        limits = resource.getrlimit(resource.RLIMIT_DATA)
        used = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData"))
        # Ray's own threads go on allocating a little; without room for that the process would end, not the job.
        resource.setrlimit(resource.RLIMIT_DATA, ((int(used.split()[1]) << 10) + (256 << 20), limits[1]))
        try:
            np.ones(1 << 28)
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, limits)
    elif trouble == "fills the object store":
        kept = [ray.put(np.ones(1 << 23)) for _ in range(2)]  # 64 MiB each, more than the store holds
        assert len(kept) == 2


def test_every_fault_costs_its_trial_alone(processes: Any, tmp_path: Path) -> None:
    trouble = {
        "0001": "hangs always",
        "0002": "hangs once",
        "0003": "runs out of memory",
        "0004": "fills the object store",
    }
    driver = [sys.executable, __file__, str(tmp_path), "troubled", json.dumps(trouble)]
    assert processes.run("driver", driver) == 0, processes.said("driver")[-4000:]
    trials = {t.id: t for t in Ledger(tmp_path / "ledger").trials()}
    failed = {i: t.reason for i, t in trials.items() if t.state is TrialState.FAILED}
    # Whether a store that is too small spills in time is Ray's affair; if not, the trial says what was full.
    assert (tmp_path / "trials" / "0004" / "met").exists()
    assert trials["0004"].state is TrialState.COMPLETE or "ObjectStoreFullError" in failed.pop("0004")
    assert sorted(failed) == ["0001", "0003"]
    assert failed["0001"].startswith(f"a job took longer than {LIMIT_S:g} s, in ")
    assert "_meet" in failed["0001"]
    assert "MemoryError" in failed["0003"]
    # Two tries of one trial hung and one of another; what ran out of memory ran too.
    hung = [job.seconds for i in ("0001", "0002") for job in trials[i].lost]
    assert len(hung) == 3 and min(hung) >= LIMIT_S
    assert len(trials["0003"].lost) == 2 and not trials["0005"].lost
    others = {i: t.state for i, t in trials.items() if i not in (*failed, "0004")}
    assert set(others.values()) == {TrialState.COMPLETE}


def test_nothing_finished_is_lost_when_it_is_hit(processes: Any, nodes: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    hits = random.Random("promote")
    known: dict[tuple[str, int], Any] = {}
    kills: Counter[str] = Counter()
    for attempt in range(3):
        driver = processes.start(f"driver-{attempt}", [sys.executable, __file__, str(out), "hit"])
        if attempt == 2:
            assert processes.ended(driver) == 0, processes.said(f"driver-{attempt}")[-4000:]
            break

        def reports() -> dict[tuple[str, int], Any]:
            trials = Ledger(out / "ledger").trials() if out.exists() else []
            return {(t.id, r.rung): r.score for t in trials for r in t.reports}

        wanted = len(reports()) + 4
        processes.wait_until(lambda n=wanted: len(reports()) >= n, f"driver-{attempt}", driver)  # type: ignore[misc]
        head = int((nodes / "head.pid").read_text())
        workers = [pid for pid, name in processes.below(head).items() if "RungTrainable" in name or "Inner" in name]
        if workers:
            os.kill(hits.choice(workers), signal.SIGKILL)
            kills["worker"] += 1
        if attempt == 1:
            processes.kill(int((nodes / "worker-1.pid").read_text()))
            kills["node"] += 1
        time.sleep(hits.uniform(0, 1))
        driver.kill()
        processes.ended(driver)
        kills["driver"] += 1
        # What a crash in the middle of a write leaves.
        part = max((out / "ledger").glob("*.parquet"))
        part.with_name(f".{part.name}.1").write_bytes(part.read_bytes()[: hits.randrange(part.stat().st_size)])
        kills["torn file"] += 1
        now = reports()
        assert known.items() <= now.items()
        known = now
    assert kills["driver"] == kills["torn file"] == 2 and kills["node"] == 1 and kills["worker"] >= 1

    trials = Ledger(out / "ledger").trials()
    assert [t.id for t in trials] == ["black-out", "identity", *(f"{n:04d}" for n in range(NUM_TRIALS))]
    assert all(t.state in (TrialState.COMPLETE, TrialState.PRUNED) for t in trials)
    after = {(t.id, r.rung): r.score for t in trials for r in t.reports}
    assert known.items() <= after.items()
    records = pd.read_parquet(out / "ledger")
    assert records["record"].is_unique
    assert not records[records["rung"].notna()].duplicated(["trial", "rung"]).any()
    final = records[records["state"].isin(["COMPLETE", "PRUNED", "FAILED"])]
    assert not final.duplicated("trial").any() and len(final) == NUM_TRIALS + 2


def run_troubled(out: str, trouble: dict[str, str]) -> None:
    """Run a study in which trials have faults, until all CPUs are free again."""
    os.environ["RAY_AUTH_TOKEN"] = "a" * 32  # so that none is written into the home folder
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 << 20)
    settings = StudySettings(num_trials=6, sampler="random", max_failures=1, job_limit_s=LIMIT_S)
    no_stop = SearchSpace.from_tables({**SPACE.tables(), "study": {"rungs": {"min_steps": 30}}}, "toy.toml")
    run_study(out, no_stop, Body(tuple(trouble.items()), noise=0.0), settings)
    while ray.available_resources().get("CPU") != 2.0:  # type: ignore[no-untyped-call]
        time.sleep(0.2)


if __name__ == "__main__":
    if sys.argv[2] == "troubled":
        run_troubled(sys.argv[1], json.loads(sys.argv[3]))
    else:
        settings = StudySettings(num_trials=NUM_TRIALS, sampler="qmc", max_failures=20)
        run_study(sys.argv[1], SPACE, Body(seconds=0.3), settings)
