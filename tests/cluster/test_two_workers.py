"""Trials of two workers through Ray Train, and a study in which trials diverge, on a real local Ray."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ray
import torch
from safetensors.torch import load_file

from anon_tune.clips import Clips
from anon_tune.errors import DivergedError
from anon_tune.ledger import Ledger
from anon_tune.recipe import Recipe
from anon_tune.runtime import ClipTrialBody
from anon_tune.study import SearchSpace, StudySettings, run_study
from anon_tune.trial import Ceilings, RungJob, RungReport

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    os.environ["RAY_AUTH_TOKEN"] = "a" * 32  # so that none is written into the home folder
    os.environ["RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"] = "0.2"
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()


def job(recipe: Recipe, directory: Path, rung: int = 0, step: int = 6, full: bool = True) -> RungJob:
    return RungJob("0000", recipe, str(directory), rung, step, full, Ceilings(0.9, 0.9))


@pytest.mark.usefixtures("cluster")
def test_two_workers_train_what_one_worker_trains(
    avatars: Clips, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    recipe = tiny_recipe({"privacy.head": "nt_xent"})
    one, two = (tmp_path / name / "trials" / "0000" for name in ("one", "two"))
    expected = ClipTrialBody(str(avatars.directory)).advance(job(recipe, one))

    # As a study calls it: in an actor without a CPU of its own.
    actor = ray.remote(num_cpus=0)(ClipTrialBody).remote(str(avatars.directory), num_workers=2)
    rung: RungReport = ray.get(actor.advance.remote(job(recipe, two, step=3, full=False)))
    assert (two / "trainer.safetensors").exists()
    full: RungReport = ray.get(actor.advance.remote(job(recipe, two, rung=1)))

    assert [p.step for p in (*rung.curve, *full.curve)] == [0, 1, 2, 3, 4, 5]
    assert (rung.score.full, full.score.full) == (False, True)
    assert full.score.is_finite
    for mine, theirs in zip((*rung.curve, *full.curve), expected.curve, strict=True):
        assert math.isclose(mine.utility, theirs.utility, rel_tol=1e-4)
        assert math.isclose(mine.privacy, theirs.privacy, rel_tol=1e-4)
    assert full.checkpoint == "trials/0000/anonymizer.safetensors"
    ours, alone = (load_file(d / "anonymizer.safetensors") for d in (two, one))
    for name, weights in alone.items():
        torch.testing.assert_close(ours[name], weights, rtol=1e-3, atol=1e-5)


@pytest.mark.usefixtures("cluster")
def test_what_ends_a_trial_in_a_worker_arrives_as_itself(
    avatars: Clips, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    body = ClipTrialBody(str(avatars.directory), num_workers=2)
    with pytest.raises(DivergedError, match=r"step \d: the \w+ loss must be finite, got nan"):
        body.advance(job(tiny_recipe({"anonymizer.lr": 1e30}), tmp_path))
