"""The game on real torch: what each move changes, the effect of the penalty, resuming, several workers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, distributed, nn

from anon_tune.clips import ClipBatch, Clips, ClipSampler, open_clips
from anon_tune.errors import AnonTuneError, DivergedError
from anon_tune.methods import build_anonymizer, make_recipe, read_recipe
from anon_tune.recipe import Recipe
from anon_tune.training import Trainer, distortion
from anon_tune.trial import Ceilings, RungJob
from anon_tune.worker.job import perform

pytestmark = pytest.mark.trains

CPU = torch.device("cpu")
Build = Callable[..., Recipe]
SCHEDULED = {
    "utility.lr.kind": "cosine",
    "utility.lr.start": 5e-3,
    "utility.lr.end": 1e-4,
    "privacy.weight.kind": "linear",
    "privacy.weight.start": 0.0,
    "privacy.weight.end": 2.0,
    "penalty.threshold.kind": "staircase",
    "penalty.threshold.start": 0.3,
    "penalty.threshold.end": 0.0,
    "penalty.threshold.num_stairs": 3,
    "training.crop": 0.7,
    "training.flip": True,
}


def trainer_of(recipe: Recipe, clips: Clips) -> Trainer:
    return Trainer(
        recipe, partial(build_anonymizer, recipe), clips.split("train"), len(clips.actions), len(clips.attributes), CPU
    )


def state(*modules: nn.Module) -> list[Tensor]:
    return [tensor.clone() for module in modules for tensor in module.state_dict().values()]


def equal(one: list[Tensor], two: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("head", ["attributes", "nt_xent"])
@pytest.mark.parametrize("on", ["pixels", "features"])
def test_each_move_changes_its_own_side_only(avatars: Clips, tiny_recipe: Build, head: str, on: str) -> None:
    recipe = tiny_recipe({"privacy.head": head, "penalty.on": on, "penalty.threshold": 0.0})
    trainer = trainer_of(recipe, avatars)
    anonymizer, branches = trainer.anonymizer, (trainer.utility, trainer.privacy)

    before = state(anonymizer), state(*branches)
    trainer.move_anonymizer(0)
    assert not equal(before[0], state(anonymizer))
    assert equal(before[1], state(*branches))
    assert all(p.grad is None for branch in branches for p in branch.parameters())
    assert all(p.grad is not None for p in anonymizer.parameters())

    anonymizer.zero_grad(set_to_none=True)
    before, utility, privacy = state(anonymizer), *map(state, branches)
    trainer.move_branches(0)
    assert equal(before, state(anonymizer))
    assert not equal(utility, state(trainer.utility))
    assert not equal(privacy, state(trainer.privacy))
    assert all(p.grad is None for p in anonymizer.parameters())


def test_pretraining_brings_the_anonymizer_nearer_the_identity(avatars: Clips) -> None:
    clips = avatars.split("test").clips(range(12))

    def distance(pretrain_steps: int) -> float:
        params = {"anonymizer.pretrain_steps": pretrain_steps, "training.batch_clips": 8, "training.warmup_steps": 0}
        trainer = trainer_of(make_recipe(params), avatars)
        trainer.train_until(0)
        with torch.no_grad():
            return float((trainer.anonymizer(clips) - clips).abs().mean())

    distances = [distance(num_steps) for num_steps in (0, 10, 100)]
    assert distances[0] > distances[1] > distances[2]
    assert distances[2] < 0.6 * distances[0]


@pytest.mark.parametrize("head", ["attributes", "nt_xent"])
def test_a_run_that_was_saved_goes_on_bit_by_bit(avatars: Clips, tiny_recipe: Build, tmp_path: Path, head: str) -> None:
    recipe = tiny_recipe({**SCHEDULED, "privacy.head": head})
    whole = trainer_of(recipe, avatars)
    curve = whole.train_until(6)
    assert [p.step for p in curve] == [0, 1, 2, 3, 4, 5]

    half = trainer_of(recipe, avatars)
    half_curve = half.train_until(3)
    half.save(tmp_path / "half.safetensors")
    torch.rand(17)  # whatever else draws numbers in between
    rest = trainer_of(recipe, avatars)
    rest.load(tmp_path / "half.safetensors")
    assert half_curve + rest.train_until(6) == curve

    whole.save(tmp_path / "whole.safetensors")
    rest.save(tmp_path / "rest.safetensors")
    one, two = (load_file(tmp_path / f"{name}.safetensors") for name in ("whole", "rest"))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    moments = {name.split(".")[1] for name in one if name.startswith("optimizer.")}
    assert moments == {"anonymizer", "utility", "privacy"}


def test_a_run_depends_on_its_seed_and_on_nothing_else_that_draws(avatars: Clips, tiny_recipe: Build) -> None:
    def trained(seed: int, disturb: int) -> list[Tensor]:
        torch.manual_seed(disturb)
        np.random.seed(disturb)
        before = torch.random.get_rng_state()
        trainer = trainer_of(tiny_recipe({"training.seed": seed, "training.num_steps": 2}), avatars)
        assert torch.equal(torch.random.get_rng_state(), before)
        trainer.train_until(2)
        return state(trainer.anonymizer)

    assert equal(trained(0, 1), trained(0, 2))
    assert not equal(trained(0, 1), trained(1, 1))


def test_a_checkpoint_is_plain_tensors_of_one_recipe(avatars: Clips, tiny_recipe: Build, tmp_path: Path) -> None:
    file = tmp_path / "trainer.safetensors"
    recipe = tiny_recipe()
    trainer = trainer_of(recipe, avatars)
    trainer.train_until(2)
    trainer.save(file)
    with safe_open(file, framework="pt") as opened:
        assert opened.metadata() == {"form": "2", "step": "2", "fingerprint": recipe.training_fingerprint()}
    header = int.from_bytes(file.read_bytes()[:8], "little")
    assert file.read_bytes()[8:9] == b"{"  # a JSON header and raw numbers: nothing to execute
    assert file.stat().st_size == 8 + header + sum(t.numel() * t.element_size() for t in load_file(file).values())
    assert [p.name for p in tmp_path.iterdir()] == [file.name]

    other = trainer_of(tiny_recipe({"training.seed": 1}), avatars)
    wanted = rf"must be of recipe \w{{16}}, got {recipe.training_fingerprint()}\. Remove it"
    with pytest.raises(AnonTuneError, match=wanted):
        other.load(file)
    assert other.step == 0


def test_a_checkpoint_of_an_earlier_version_is_passed_over(avatars: Clips, tiny_recipe: Build, tmp_path: Path) -> None:
    whole, half, rest = (trainer_of(tiny_recipe(), avatars) for _ in range(3))
    half.train_until(2)
    half.save(tmp_path / "half.safetensors")
    old = {"step": "2", "fingerprint": "f" * 16}
    save_file(load_file(tmp_path / "half.safetensors"), tmp_path / "old.safetensors", old)
    rest.load(tmp_path / "old.safetensors")
    assert rest.train_until(3) == whole.train_until(3)
    assert equal(state(rest.anonymizer), state(whole.anonymizer))


def final_anonymizer(avatars: Clips, recipe: Recipe) -> list[Tensor]:
    trainer = trainer_of(recipe, avatars)
    trainer.train_until(recipe.training.num_steps)
    return state(trainer.anonymizer)


@pytest.mark.parametrize("on", ["pixels", "features"])
def test_the_penalty_moves_the_anonymizer(avatars: Clips, tiny_recipe: Build, on: str) -> None:
    def result(threshold: float, weight: float = 1.0, detached: bool = False) -> list[Tensor]:
        params = {"penalty.on": on, "penalty.threshold": threshold, "penalty.weight": weight}
        return final_anonymizer(avatars, tiny_recipe({**params, "penalty.detached": detached}))

    trainer = trainer_of(tiny_recipe(), avatars)
    trainer.train_until(0)
    clips = trainer.batches.clips(1).clips
    pair = clips, trainer.anonymizer(clips)
    if on == "features":
        pair = trainer.utility.features(pair[0]), trainer.utility.features(pair[1])
    near, between = distortion(*pair).sort().values[:2].mean().item(), distortion(*pair).max().item()

    far = 1e6  # nothing is ever beyond it
    results = [result(0.0), result(near), result(0.99 * between), result(far)]
    for one, two in combinations(results, 2):
        assert not equal(one, two)
    assert equal(result(far), result(far, weight=50.0))
    assert equal(result(far), result(0.0, weight=0.0))
    for threshold, weight in ((0.0, 1.0), (near, 50.0)):
        assert equal(result(threshold, weight, detached=True), result(far))


@pytest.mark.parametrize(
    ("name", "start", "end", "part"),
    [
        ("utility.weight", 1.0, 0.0, "anonymizer"),
        ("privacy.weight", 1.0, 9.0, "anonymizer"),
        ("penalty.weight", 1.0, 9.0, "anonymizer"),
        ("penalty.threshold", 2.0, 0.0, "anonymizer"),
        ("anonymizer.lr", 0.01, 0.02, "anonymizer"),
        ("utility.lr", 0.01, 0.02, "utility"),
        ("privacy.lr", 0.01, 0.02, "privacy"),
    ],
)
def test_a_schedule_is_followed_from_step_to_step(
    avatars: Clips, tiny_recipe: Build, name: str, start: float, end: float, part: str
) -> None:
    def result(params: dict[str, Any], num_steps: int) -> list[Tensor]:
        trainer = trainer_of(tiny_recipe({"training.num_steps": 2, **params}), avatars)
        trainer.train_until(num_steps)
        return state(getattr(trainer, part))

    curve = {"kind": "staircase", "start": start, "end": end, "num_stairs": 2}
    moving = {f"{name}.{field}": value for field, value in curve.items()}
    assert equal(result(moving, 1), result({name: start}, 1))
    assert not equal(result(moving, 2), result({name: start}, 2))


def test_training_beyond_the_end_stops_at_the_end(avatars: Clips, tiny_recipe: Build) -> None:
    trainer = trainer_of(tiny_recipe({"training.num_steps": 2}), avatars)
    assert [p.step for p in trainer.train_until(100)] == [0, 1]
    assert trainer.train_until(100) == []
    assert trainer.step == 2


@pytest.mark.parametrize("name", ["anonymizer.lr", "utility.lr", "privacy.lr"])
def test_a_loss_that_is_not_finite_ends_the_trial(
    avatars: Clips, tiny_recipe: Build, tmp_path: Path, name: str
) -> None:
    recipe = tiny_recipe({name: 1e30})
    with pytest.raises(DivergedError, match=r"step \d: the \w+ loss must be finite, got (nan|inf)\. Lower a weight"):
        trainer_of(recipe, avatars).train_until(6)
    with pytest.raises(DivergedError, match="must be finite"):
        perform(RungJob("0000", recipe, str(tmp_path), 0, 6, True, Ceilings(0.9, 0.9)), avatars, CPU)
    assert not (tmp_path / "anonymizer.safetensors").exists()


def test_an_anonymizer_that_breaks_in_its_very_last_step_is_found(avatars: Clips, tiny_recipe: Build) -> None:
    recipe = tiny_recipe({"anonymizer.lr": 1e38, "training.num_steps": 1})
    with pytest.raises(DivergedError, match="step 0: the utility loss must be finite"):
        trainer_of(recipe, avatars).train_until(1)


class DoubleSampler(ClipSampler):
    """Clips in double precision, in which the order of additions makes no visible difference."""

    def shown(self, *args: Any) -> ClipBatch:
        batch = super().shown(*args)
        return replace(batch, clips=batch.clips.double())


def play_in_doubles(clips: Clips, recipe: Recipe, file: Path) -> None:
    """Train two rounds of steps with a checkpoint in between, as one worker of a group or alone."""
    double = DoubleSampler(clips.split("train"), recipe.training.batch_clips, recipe.training.seed)
    curve: list[Any] = []
    for step in (2, 4):
        trainer = trainer_of(recipe, clips)
        trainer.batches.sampler = double
        if step == 4:
            trainer.load(file)
        curve += trainer.train_until(step)
        if trainer.collective.world_rank == 0:
            trainer.save(file)
        if trainer.collective.size > 1:
            distributed.barrier()
    if trainer.collective.world_rank == 0:
        losses = torch.tensor([list(p.terms.values()) for p in curve])
        save_file({**load_file(file), "curve": losses}, file.with_suffix(".done"))


def test_two_workers_do_what_one_does(avatars: Clips, tiny_recipe: Build, tmp_path: Path) -> None:
    common = {**SCHEDULED, "privacy.cap": 1.2, "training.num_branch_updates": 2}
    several = {"privacy.num_branches": 3, "privacy.restart_steps": 2}
    variants: list[dict[str, Any]] = [
        {"privacy.head": "attributes"},
        {**several, "privacy.target": "uniform"},
        {**several, "privacy.head": "nt_xent"},
    ]
    recipes = [tiny_recipe(common | variant).model_dump_json() for variant in variants]
    workers = [
        subprocess.Popen(
            [sys.executable, __file__, str(avatars.directory), str(tmp_path), str(rank), str(size), *recipes]
        )
        for size in (1, 2)
        for rank in range(size)
    ]
    try:
        assert [worker.wait(600) for worker in workers] == [0, 0, 0]
    finally:  # one that failed leaves the other waiting for it
        for worker in workers:
            worker.kill()
    for at in range(len(recipes)):
        one, two = (load_file(tmp_path / f"{size}-{at}.done") for size in (1, 2))
        assert one.keys() == two.keys()
        for name, tensor in one.items():
            torch.testing.assert_close(two[name], tensor, rtol=1e-6, atol=1e-9, msg=lambda m, n=name: f"{n}: {m}")


def test_a_batch_that_cannot_be_shared_equally_is_refused(avatars: Clips, tiny_recipe: Build) -> None:
    trainer = trainer_of(tiny_recipe({"training.batch_clips": 5}), avatars)
    trainer.collective.size = 2
    with pytest.raises(AnonTuneError, match=r"'training\.batch_clips' must be a multiple of the 2 workers, got 5"):
        trainer.train_until(1)


def test_the_frames_a_branch_sees_are_drawn_from_the_whole_clip(avatars: Clips, tiny_recipe: Build) -> None:
    trainer = trainer_of(tiny_recipe({"training.stills_per_clip": 3}), avatars)
    draws = torch.stack([trainer.batches.frames(index) for index in range(60)])
    assert draws.shape == (60, 4, 3)
    assert all(len(set(clip.tolist())) == 3 for draw in draws for clip in draw)
    shares = torch.bincount(draws.flatten(), minlength=4) / draws.numel()
    assert (shares - 0.25).abs().max() < 0.05


if __name__ == "__main__":
    directory, folder, rank, size, *recipes = sys.argv[1:]
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    if int(size) > 1:
        rendezvous = f"file://{folder}/rendezvous"
        distributed.init_process_group("gloo", init_method=rendezvous, rank=int(rank), world_size=int(size))
    for at, text in enumerate(recipes):
        file = Path(folder) / f"{size}-{at}.safetensors"
        play_in_doubles(open_clips(directory), read_recipe(text), file)
