from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F

from anon_tune.clips import Clips, make_avatars
from anon_tune.clips.ahead import ReadAhead
from anon_tune.errors import DivergedError, RecipeError
from anon_tune.methods import build_anonymizer, make_recipe
from anon_tune.training import Trainer
from anon_tune.training.buckets import GradientBuckets
from anon_tune.training.collective import Collective
from anon_tune.training.optimizers import check_precision
from anon_tune.training.synced_norm import synchronize

SMALL: dict[str, Any] = {
    "training.num_steps": 3,
    "training.batch_clips": 4,
    "training.num_branch_updates": 1,
    "training.warmup_steps": 1,
    "anonymizer.pretrain_steps": 1,
    "anonymizer.base_channels": 4,
}
ALL_ON: dict[str, Any] = {
    "training.precision": "bfloat16",
    "training.channels_last": True,
    "training.fused": True,
    "training.optimizer": "adamw",
    "training.weight_decay": 0.01,
    "training.clip_norm": 1.0,
    "training.accumulate": 2,
    "training.log_every": 2,
    "training.read_ahead": 3,
    "training.jitter": 0.2,
    "training.crop": 0.8,
    "training.flip": True,
}
# What the game gave before it had any of these options: float32 on CPU, everything off. The seeds are the recipe's.
BEFORE = json.loads((Path(__file__).parent / "before_options.json").read_text())


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    return make_avatars(tmp_path_factory.mktemp("clips") / "avatars", num_val=4, num_test=4)


def trainer_of(clips: Clips, values: dict[str, Any]) -> Trainer:
    recipe = make_recipe({**SMALL, **values})
    train = clips.split("train")
    sizes = len(clips.actions), len(clips.attributes)
    return Trainer(recipe, lambda: build_anonymizer(recipe), train, *sizes, torch.device("cpu"))


def weights(trainer: Trainer) -> list[Tensor]:
    players = trainer.anonymizer, trainer.utility, trainer.privacy
    return [tensor for player in players for tensor in player.state_dict().values()]


@pytest.mark.parametrize("case", BEFORE["cases"])
def test_with_all_options_off_the_game_has_the_numbers_of_before(clips: Clips, case: str) -> None:
    made = BEFORE["cases"][case]
    trainer = trainer_of(clips, BEFORE["shared"] | made["values"])
    assert trainer.recipe.training_fingerprint() == made["fingerprint"]
    for point, before in zip(trainer.train_until(4), made["losses"], strict=True):
        # Exact on the machine that recorded them. Others add in another order, and the game multiplies what differs.
        assert dict(point.terms) == pytest.approx(before, rel=1e-3 if point.step == 0 else 2e-2)


@pytest.mark.parametrize("values", [ALL_ON, {"training.optimizer": "sgd", "training.fused": True}], ids=["on", "sgd"])
def test_with_options_on_a_resume_is_bit_identical(clips: Clips, tmp_path: Path, values: dict[str, Any]) -> None:
    whole, first, second = (trainer_of(clips, values) for _ in range(3))
    curve = whole.train_until(3)
    begun = first.train_until(1)
    first.save(tmp_path / "checkpoint.safetensors")
    second.load(tmp_path / "checkpoint.safetensors")
    assert begun + second.train_until(3) == curve
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(second), strict=True))


@pytest.mark.parametrize(
    "values",
    [{"training.log_every": 2}, {"training.read_ahead": 3, "training.crop": 0.7, "training.flip": True}],
    ids=["log_every", "read_ahead"],
)
def test_reading_at_another_time_changes_no_bit(clips: Clips, values: dict[str, Any]) -> None:
    usual = {name: value for name, value in values.items() if name in ("training.crop", "training.flip")}
    one, two = trainer_of(clips, usual), trainer_of(clips, values)
    assert one.train_until(3) == two.train_until(3)
    assert all(torch.equal(a, b) for a, b in zip(weights(one), weights(two), strict=True))


def test_parts_of_a_batch_have_the_gradient_of_the_whole(clips: Clips) -> None:
    plain = {"training.optimizer": "sgd", "training.momentum": 0.0, "anonymizer.lr": 0.1, "training.num_steps": 1}
    one, two = trainer_of(clips, plain), trainer_of(clips, {**plain, "training.accumulate": 2})
    curves = one.train_until(1) + two.train_until(1)
    assert dict(curves[0].terms) == pytest.approx(dict(curves[1].terms), rel=1e-3, abs=1e-5)
    for a, b in zip(weights(one), weights(two), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_a_loss_that_is_read_late_still_ends_the_trial(clips: Clips) -> None:
    trainer = trainer_of(clips, {"training.log_every": 100, "utility.lr": 1e30})
    with pytest.raises(DivergedError, match=r"step \d: the \w+ loss must be finite"):
        trainer.train_until(3)


def test_clipping_bounds_the_step_of_plain_descent(clips: Clips) -> None:
    values = {"training.optimizer": "sgd", "training.momentum": 0.0, "training.clip_norm": 1e-3, "anonymizer.lr": 1.0}
    trainer = trainer_of(clips, values)
    before = [p.detach().clone() for p in trainer.anonymizer.parameters()]
    trainer.optimizers["anonymizer"].param_groups[0]["lr"] = 1.0
    trainer.move_anonymizer(0)
    moved = sum(
        float((a.detach() - b).square().sum()) for a, b in zip(trainer.anonymizer.parameters(), before, strict=True)
    )
    assert moved**0.5 == pytest.approx(1e-3, rel=1e-3)


def test_a_frozen_anonymizer_keeps_its_statistics(clips: Clips) -> None:
    trainer = trainer_of(clips, {"anonymizer.network": "smp:unetplusplus-resnet18", "training.batch_clips": 2})
    name = "network.network.encoder.bn1.running_mean"
    before = trainer.anonymizer.get_buffer(name).clone()
    trainer.move_branches(0)
    assert torch.equal(trainer.anonymizer.get_buffer(name), before)
    trainer.move_anonymizer(1)
    assert not torch.equal(trainer.anonymizer.get_buffer(name), before)


def test_layers_that_draw_numbers_draw_those_of_the_seed(clips: Clips) -> None:
    made = []
    for earlier in (0, 7):
        torch.rand(earlier)  # as another trial in the same process draws
        trainer = trainer_of(clips, {})
        for network in (trainer.anonymizer, trainer.utility):
            network.register_forward_hook(lambda net, _, out: F.dropout(out, 0.1, net.training))
        state = torch.get_rng_state()
        trainer.train_until(2)
        assert torch.equal(state, torch.get_rng_state())
        made.append(weights(trainer))
    assert all(torch.equal(one, two) for one, two in zip(*made, strict=True))
    without = trainer_of(clips, {})
    without.train_until(2)
    assert not all(torch.equal(one, two) for one, two in zip(made[0], weights(without), strict=True))


def test_parts_must_be_equal_and_precision_known() -> None:
    with pytest.raises(RecipeError, match=r"must be a multiple of 'training.accumulate' = 3, got 4"):
        make_recipe({**SMALL, "training.accumulate": 3})
    with pytest.raises(RecipeError, match=r"training\.precision"):
        make_recipe({"training.precision": "float8"})
    with pytest.raises(RecipeError, match=r"must be one that the device meta has, got bfloat16\. Set it to float32"):
        check_precision("bfloat16", torch.device("meta"))


def test_compiling_without_a_compiler_is_one_line(clips: Clips, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(RecipeError, match=r"there is no program no-such-compiler\. Install one"):
        trainer_of(clips, {"training.compile": True})


def test_what_is_read_ahead_is_what_was_asked_for() -> None:
    read: list[int] = []

    def one(number: int) -> int:
        read.append(number)
        return number * 10

    ahead = ReadAhead(one, 2)
    assert [ahead[at] for at in (0, 1, 2, 7, 8, 0)] == [0, 10, 20, 70, 80, 0]
    ahead.close()
    assert {1, 2, 9} <= set(read)  # 9 was not asked for, but read after 8 was


def small_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.BatchNorm2d(2), nn.Flatten()
    ).double()


def two_workers(rank: int, file: Path) -> None:
    """Compute the gradients of half a batch each, with synchronized statistics, in buckets of one weight."""
    distributed.init_process_group("gloo", init_method=f"file://{file}.group", rank=rank, world_size=2)
    network = nn.Sequential(small_network())
    synchronize(network)
    batch = torch.rand(4, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    buckets = GradientBuckets(network.parameters(), Collective().size, 1)
    buckets.open()
    network(batch.chunk(2)[rank]).square().mean().backward()
    buckets.close()
    if rank == 0:
        names = {name: p.grad for name, p in network.named_parameters()}
        torch.save((names, network.state_dict()), file)
    distributed.destroy_process_group()


def test_two_workers_normalize_and_reduce_like_one(tmp_path: Path) -> None:
    file = tmp_path / "out.pt"
    started = [subprocess.Popen([sys.executable, __file__, str(rank), str(file)]) for rank in range(2)]
    assert [process.wait(timeout=300) for process in started] == [0, 0]
    gradients, state = torch.load(file, weights_only=True)
    network = nn.Sequential(small_network())
    batch = torch.rand(4, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    network(batch).square().mean().backward()
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-5, atol=1e-8)
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(state[name], tensor, rtol=1e-5, atol=1e-7)


if __name__ == "__main__":
    two_workers(int(sys.argv[1]), Path(sys.argv[2]))
