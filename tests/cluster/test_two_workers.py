"""Trials of two workers through Ray Train, and a study in which trials diverge, on a real local Ray."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
import torch
from ray.train import ControllerError
from ray.util import placement_group_table
from safetensors.torch import load_file

from anon_tune.clips import Clips
from anon_tune.driver import run_study
from anon_tune.errors import DivergedError
from anon_tune.ledger import Ledger
from anon_tune.recipe import Recipe
from anon_tune.search import SearchSpace
from anon_tune.study import StudySettings
from anon_tune.study.frozen_study import freeze_study, load_study
from anon_tune.trial import Ceilings, RungJob, Trial, TrialState
from anon_tune.worker import ClipTrialBody
from anon_tune.worker.freed_workers import FreesItsWorkers
from anon_tune.worker.job import perform

pytestmark = pytest.mark.cluster
STEPS = 60
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


def job(recipe: Recipe, directory: Path, step: int = 6) -> RungJob:
    return RungJob("0000", recipe, str(directory), 0, step, True, Ceilings(0.9, 0.9))


@pytest.mark.usefixtures("shared_ray")
def test_what_ends_a_trial_in_a_worker_arrives_as_itself(
    avatars: Clips, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    body = ClipTrialBody(str(avatars.directory), num_workers=2)
    with pytest.raises(DivergedError, match=r"step \d: the \w+ loss must be finite, got nan"):
        body.advance(job(tiny_recipe({"anonymizer.lr": 1e30}), tmp_path))


@pytest.mark.usefixtures("shared_ray")
def test_a_worker_that_is_lost_while_workers_start_leaves_no_cpu_taken(
    avatars: Clips, tiny_recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class LosesOne(FreesItsWorkers):
        def after_worker_group_start(self, worker_group: Any) -> None:
            super().after_worker_group_start(worker_group)
            ray.kill(worker_group.get_workers()[0].actor)

    monkeypatch.setattr("anon_tune.worker.freed_workers.FreesItsWorkers", LosesOne)
    body = ClipTrialBody(str(avatars.directory), num_workers=2)
    with pytest.raises(ControllerError):
        body.advance(job(tiny_recipe(), tmp_path))
    assert {group["state"] for group in placement_group_table().values()} <= {"REMOVED"}


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


def begin_study(directory: Path, clips: Clips) -> SearchSpace:
    """Begin a study of one trial of two workers and two rungs, whose anchors were measured without Ray."""
    # Without steps before the game, the losses of its first step are those of the same weights and batch.
    game = {"privacy.head": "nt_xent", "anonymizer.pretrain_steps": 0, "training.warmup_steps": 0}
    tables = {
        "fixed": {**TINY, **game, "training.num_steps": STEPS},
        "search": {"penalty.weight": {"low": 0.1, "high": 10.0}},
        "study": {"rungs": {"min_steps": 3, "factor": STEPS // 3}},
    }
    space = SearchSpace.from_tables(tables, "toy.toml")
    directory.mkdir()
    freeze_study(directory, space, StudySettings(num_trials=1, sampler="random", workers_per_trial=2))
    ledger = Ledger(directory / "ledger")
    ceilings: dict[bool, Ceilings] = {}
    for name in ("identity", "black-out"):
        recipe, folder = space.recipe({}, method=name), directory / "trials" / name
        folder.mkdir(parents=True)
        trial = Trial(name, -1, name, {}, recipe.fingerprint(), TrialState.COMPLETE)
        for rung, step in enumerate((3, STEPS)):
            full = step == STEPS
            what = RungJob(name, recipe, str(folder), rung, step, full, ceilings.get(full))
            report = perform(what, clips, torch.device("cpu"))
            assert report is not None
            ledger.append(trial if full else replace(trial, state=TrialState.RUNNING), report)
            ceilings.setdefault(full, Ceilings(report.score.leakage.value, report.score.accuracy.value))
    return space


def test_two_workers_train_through_ray_train_and_a_job_that_loses_one_is_done_again(
    processes: Any, avatars: Clips, tmp_path: Path
) -> None:
    """In a process of its own, whose Ray has a dashboard, without which Ray Train does not clean up."""
    study = tmp_path / "study"
    one, two = tmp_path / "one" / "trials" / "0000", study / "trials" / "0000"
    space = begin_study(study, avatars)
    driver = processes.start("driver", [sys.executable, __file__, str(study), str(avatars.directory)])

    def trials() -> dict[str, Trial]:
        return {t.id: t for t in Ledger(study / "ledger").trials()}

    def workers() -> list[int]:
        return [pid for pid, name in processes.below(driver.pid).items() if "ray::RayTrainWorker" in name]

    processes.wait_until(lambda: "0000" in trials() and bool(trials()["0000"].reports), "driver", driver)
    assert (two / "trainer.safetensors").exists()
    processes.wait_until(lambda: (two / "begun.json").exists() and bool(workers()), "driver", driver)
    with processes.held("ray::RayTrainWorker", driver.pid):
        time.sleep(1)  # what is to be lost
        os.kill(workers()[0], signal.SIGKILL)
    assert processes.ended(driver) == 0, processes.said("driver")[-4000:]
    assert {t.state for t in trials().values()} == {TrialState.COMPLETE}
    trial = trials()["0000"]
    (lost,) = trial.lost
    assert 0.5 < lost.seconds < trial.ended - trial.started
    assert lost.node and lost.cost.cpu_s == pytest.approx(2 * lost.seconds)
    assert not (two / "begun.json").exists()

    recipe = space.recipe(dict(trial.params), method="adversarial")
    alone = ClipTrialBody(str(avatars.directory)).advance(job(recipe, one, step=STEPS))
    rung, full = trial.reports
    assert [p.step for p in (*rung.curve, *full.curve)] == list(range(STEPS))
    for name in ("utility", "privacy", "penalty", "distortion"):
        assert rung.curve[0].terms[name] == pytest.approx(alone.curve[0].terms[name], rel=1e-5)
    assert (rung.rung, rung.step, rung.score.full) == (0, 3, False)
    assert (full.rung, full.step, full.score.full) == (1, STEPS, True)
    assert full.score.is_finite
    assert sorted(p.name for p in two.iterdir() if p.is_file()) == sorted(p.name for p in one.iterdir())
    assert full.weights == "trials/0000/anonymizer.safetensors"
    assert all(torch.isfinite(tensor).all() for tensor in load_file(study / full.weights).values())


if __name__ == "__main__":
    os.environ["RAY_TRAIN_WORKER_HEALTH_CHECK_TIMEOUT_S"] = "30"  # of a worker that hangs beside the lost one, not 600
    toy, two = load_study(sys.argv[1])
    run_study(sys.argv[1], toy, ClipTrialBody(sys.argv[2], num_workers=2), two)
