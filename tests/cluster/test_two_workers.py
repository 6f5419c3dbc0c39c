"""Trials of two workers through Ray Train, and a study in which trials diverge, on a real local Ray."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ray
import torch
from safetensors.torch import load_file

from anon_tune.clips import Clips
from anon_tune.driver import run_study
from anon_tune.errors import DivergedError
from anon_tune.ledger import Ledger
from anon_tune.recipe import Recipe
from anon_tune.search import SearchSpace
from anon_tune.study import StudySettings
from anon_tune.trial import Ceilings, RungJob, RungReport, TrialState
from anon_tune.worker import ClipTrialBody

pytestmark = pytest.mark.cluster
TINY = {
    "anonymizer.base_channels": 4,
    "anonymizer.pretrain_steps": 1,
    "training.batch_clips": 4,
    "training.warmup_steps": 1,
    "evaluation.rung.attackers": "frame",
    "evaluation.full.attackers": "frame,clip",
    "evaluation.num_bootstraps": 5,
    "evaluation.width": 4,
    **{f"evaluation.{effort}.{who}_steps": 4 for effort in ("rung", "full") for who in ("attacker", "classifier")},
}


def job(recipe: Recipe, directory: Path, rung: int = 0, step: int = 6, full: bool = True) -> RungJob:
    return RungJob("0000", recipe, str(directory), rung, step, full, Ceilings(0.9, 0.9))


@pytest.mark.usefixtures("shared_ray")
def test_two_workers_train_through_ray_train(
    avatars: Clips, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    # Without steps before the game, the losses of its first step are those of the same weights and batch.
    recipe = tiny_recipe({"privacy.head": "nt_xent", "anonymizer.pretrain_steps": 0, "training.warmup_steps": 0})
    one, two = (tmp_path / name / "trials" / "0000" for name in ("one", "two"))
    alone = ClipTrialBody(str(avatars.directory)).advance(job(recipe, one))

    # As a study calls it: in an actor without a CPU of its own.
    actor = ray.remote(num_cpus=0)(ClipTrialBody).remote(str(avatars.directory), num_workers=2)
    rung: RungReport = ray.get(actor.advance.remote(job(recipe, two, step=3, full=False)))
    assert (two / "trainer.safetensors").exists()
    full: RungReport = ray.get(actor.advance.remote(job(recipe, two, rung=1)))

    assert [p.step for p in (*rung.curve, *full.curve)] == [0, 1, 2, 3, 4, 5]
    for name in ("utility", "privacy", "penalty", "distortion"):
        assert rung.curve[0].terms[name] == pytest.approx(alone.curve[0].terms[name], rel=1e-5)
    assert (rung.rung, rung.step, rung.score.full) == (0, 3, False)
    assert (full.rung, full.step, full.score.full) == (1, 6, True)
    assert full.score.is_finite
    assert sorted(p.name for p in two.iterdir() if p.is_file()) == sorted(p.name for p in one.iterdir())
    assert full.weights == "trials/0000/anonymizer.safetensors"
    assert all(torch.isfinite(tensor).all() for tensor in load_file(two.parents[1] / full.weights).values())


@pytest.mark.usefixtures("shared_ray")
def test_what_ends_a_trial_in_a_worker_arrives_as_itself(
    avatars: Clips, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    body = ClipTrialBody(str(avatars.directory), num_workers=2)
    with pytest.raises(DivergedError, match=r"step \d: the \w+ loss must be finite, got nan"):
        body.advance(job(tiny_recipe({"anonymizer.lr": 1e30}), tmp_path))


@pytest.mark.usefixtures("shared_ray")
def test_a_trial_that_diverges_is_failed_and_the_study_goes_on(
    avatars: Clips, tiny_params: dict[str, Any], tmp_path: Path
) -> None:
    rates = (1e-3, 1e30, 2e-3)
    tables = {
        "fixed": tiny_params,
        "search": {"anonymizer.lr": {"low": 1e-3, "high": 1e30, "log": True}},
        "first": [{"anonymizer.lr": rate} for rate in rates],
        "study": {"rungs": False},
    }
    space = SearchSpace.from_tables(tables, "rates.toml")
    settings = StudySettings(num_trials=len(rates), sampler="random", max_concurrent=1)
    trials = run_study(tmp_path, space, ClipTrialBody(str(avatars.directory)), settings).trials()
    assert [(t.id, t.state) for t in trials] == [
        ("black-out", "COMPLETE"),
        ("identity", "COMPLETE"),
        ("0000", "COMPLETE"),
        ("0001", "FAILED"),
        ("0002", "COMPLETE"),
    ]
    failed = trials[3]
    assert re.fullmatch(
        r"step \d: the \w+ loss must be finite, got nan\. Lower a weight or learning rate\.", failed.reason
    )
    assert failed.reports == ()
    assert all(t.score is not None and t.score.is_finite for t in trials if t is not failed)


def test_a_job_whose_worker_dies_is_counted_as_lost_and_done_again(
    processes: Any, avatars: Clips, tmp_path: Path
) -> None:
    """Runs in a process of its own, because Ray Train needs a dashboard to clean up after a lost worker."""
    command = [sys.executable, __file__, str(tmp_path / "study"), str(avatars.directory)]
    driver = processes.start("driver", command)
    begun = tmp_path / "study" / "trials" / "0000" / "begun.json"

    def workers() -> list[int]:
        return [pid for pid, name in processes.below(driver.pid).items() if "ray::RayTrainWorker" in name]

    processes.wait_until(lambda: begun.exists() and bool(workers()), "driver", driver)
    with processes.held("ray::RayTrainWorker", driver.pid):
        time.sleep(1)  # what is to be lost
        os.kill(workers()[0], signal.SIGKILL)
    assert processes.ended(driver) == 0, processes.said("driver")[-4000:]
    trials = {t.id: t for t in Ledger(tmp_path / "study" / "ledger").trials()}
    assert {t.state for t in trials.values()} == {TrialState.COMPLETE}
    (lost,) = trials["0000"].lost
    assert 0.5 < lost.seconds < trials["0000"].ended - trials["0000"].started
    assert lost.node and lost.cost.cpu_s == pytest.approx(2 * lost.seconds)
    assert not begun.exists()


if __name__ == "__main__":
    fixed = {**TINY, "training.num_steps": 60}
    search = {"penalty.weight": {"low": 0.1, "high": 10.0}}
    # Without rungs: Ray Train starts its processes for every job.
    toy = SearchSpace.from_tables({"fixed": fixed, "search": search, "study": {"rungs": False}}, "toy.toml")
    two = StudySettings(num_trials=1, sampler="random", workers_per_trial=2)
    os.environ["RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"] = "0.2"
    os.environ["RAY_AUTH_TOKEN"] = "a" * 32
    ray.init("local", num_cpus=2, include_dashboard=True, log_to_driver=False, logging_level="error")
    run_study(sys.argv[1], toy, ClipTrialBody(sys.argv[2], num_workers=2), two)
