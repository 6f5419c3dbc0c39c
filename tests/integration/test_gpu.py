"""Training and measurement on a GPU, compared with the CPU. `benchmarks/on_gpu.sh` runs them without conftest.py.

Convolutions compute in full float32 here, without TF32. A GPU adds in another order than a CPU, and rounding to levels
enlarges the differences, so results agree within a tolerance, which each test states. Two runs on a CPU, with kernels
stored in another order, differ by 0.002 of a loss after four steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from anon_tune.clips import Clips, make_avatars
from anon_tune.methods import build_anonymizer, make_recipe
from anon_tune.networks import pick_device
from anon_tune.networks.clip_readers import ClipReader
from anon_tune.training import Trainer

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU"),
]

CPU, GPU = torch.device("cpu"), pick_device("auto")
SMALL: dict[str, Any] = {
    "training.num_steps": 4,
    "training.batch_clips": 4,
    "training.num_branch_updates": 1,
    "training.warmup_steps": 1,
    "training.optimizer": "sgd",  # Adam turns the sign of a gradient near 0 into a whole step
    "anonymizer.pretrain_steps": 1,
    "anonymizer.base_channels": 8,
}
EFFORT: dict[str, Any] = {
    "evaluation.num_bootstraps": 10,
    "evaluation.full.attackers": "frame,clip",
    "evaluation.full.attacker_steps": 30,
    "evaluation.full.classifier_steps": 30,
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    return make_avatars(tmp_path_factory.mktemp("clips") / "avatars", num_train=48, num_val=24, num_test=24)


@pytest.fixture(autouse=True)
def full_float32() -> Iterator[None]:
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


def trained(clips: Clips, device: torch.device, values: dict[str, Any]) -> tuple[Trainer, list[dict[str, float]]]:
    """Return a trainer after all its steps, and its losses."""
    recipe = make_recipe({**SMALL, **values})
    sizes = len(clips.actions), len(clips.attributes)
    trainer = Trainer(recipe, lambda: build_anonymizer(recipe), clips.split("train"), *sizes, device)
    return trainer, [dict(point.terms) for point in trainer.train_until(4)]


def weights(trainer: Trainer) -> list[Tensor]:
    players = trainer.anonymizer, trainer.utility, trainer.privacy
    return [tensor.float().cpu() for player in players for tensor in player.state_dict().values()]


@pytest.mark.parametrize(
    "values",
    [{}, {"training.crop": 0.7, "training.flip": True, "training.jitter": 0.2, "training.read_ahead": 2}],
    ids=["plain", "views"],
)
def test_training_on_a_gpu_equals_that_on_the_cpu(clips: Clips, values: dict[str, Any]) -> None:
    one, cpu_losses = trained(clips, CPU, values)
    two, gpu_losses = trained(clips, GPU, values)
    for ours, theirs in zip(gpu_losses, cpu_losses, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-2, abs=1e-3)
    for ours, theirs in zip(weights(two), weights(one), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=5e-2, atol=2e-3)


def test_bfloat16_on_a_gpu_has_the_losses_of_float32(clips: Clips) -> None:
    lower = {"training.precision": "bfloat16", "training.channels_last": True, "training.fused": True}
    _, float32 = trained(clips, GPU, {})
    _, bfloat16 = trained(clips, GPU, lower)
    for ours, theirs in zip(bfloat16, float32, strict=True):
        assert ours == pytest.approx(theirs, rel=0.1, abs=0.02)


def test_training_on_a_gpu_goes_on_from_a_checkpoint_of_the_cpu(clips: Clips, tmp_path: Path) -> None:
    recipe = make_recipe(SMALL)
    sizes = len(clips.actions), len(clips.attributes)
    first, second = (
        Trainer(recipe, lambda: build_anonymizer(recipe), clips.split("train"), *sizes, device) for device in (CPU, GPU)
    )
    begun = first.train_until(2)
    first.save(tmp_path / "checkpoint.safetensors")
    second.load(tmp_path / "checkpoint.safetensors")
    _, whole = trained(clips, CPU, {})
    for ours, theirs in zip([*begun, *second.train_until(4)], whole, strict=True):
        assert dict(ours.terms) == pytest.approx(theirs, rel=1e-2, abs=1e-3)


@pytest.fixture
def evaluation() -> Any:
    pytest.importorskip("av", reason="the measurement needs the package av")
    from anon_tune import evaluation

    return evaluation


def test_anonymized_clips_differ_by_one_level_at_most(clips: Clips, tmp_path: Path, evaluation: Any) -> None:
    anonymizer = build_anonymizer(make_recipe(SMALL))
    test = clips.split("test")
    on_cpu, on_gpu = (
        evaluation.anonymize_split(anonymizer, test, tmp_path / name, 8, device).clips.frames.astype(int)
        for name, device in (("cpu.npy", CPU), ("gpu.npy", GPU))
    )
    assert np.abs(on_cpu - on_gpu).max() <= 1


def test_an_attacker_on_a_gpu_gives_the_logits_of_the_cpu(clips: Clips, evaluation: Any) -> None:
    train, val = clips.split("train"), clips.split("val")
    said = []
    for device in (CPU, GPU):
        torch.manual_seed(0)
        network = ClipReader(len(clips.attributes), 8, 2)
        evaluation.fit(network, train, val, "private", evaluation.FixedSteps(5), 8, 1e-3, 0, device)
        said.append(evaluation.predict(network, val, 8, device))
    torch.testing.assert_close(said[1].cpu(), said[0].cpu(), rtol=1e-2, atol=1e-2)


def test_a_score_on_a_gpu_is_that_of_the_cpu(clips: Clips, evaluation: Any) -> None:
    recipe = make_recipe({"method": "identity", **EFFORT})
    scores = [
        evaluation.measure(build_anonymizer(recipe), clips, recipe.evaluation, True, None, device)
        for device in (CPU, GPU)
    ]
    # The scores of 24 clips move in steps of 0.04, and Adam enlarges small differences of gradients.
    assert scores[1].leakage.value == pytest.approx(scores[0].leakage.value, abs=0.1)
    assert scores[1].accuracy.value == pytest.approx(scores[0].accuracy.value, abs=0.15)
