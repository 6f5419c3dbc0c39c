"""DP-SGD on the game: what is clipped, how much noise is added, what is refused, and going on after a kill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn import functional as F

from anon_tune.accounting.private_run import PrivateRun, private_run, updates_until
from anon_tune.clips import Clips, PoissonSampler
from anon_tune.errors import AnonTuneError, RecipeError
from anon_tune.methods import build_anonymizer, make_recipe, trainer_of
from anon_tune.networks.keyed_numbers import KeyedNumbers
from anon_tune.recipe import Recipe
from anon_tune.study_directory import TrialDirectory
from anon_tune.training import PrivateTrainer, check_private_networks, quantize
from anon_tune.training.private_gradients import add_noise, clipped_sum, parameters_of
from anon_tune.trial import RungJob
from anon_tune.worker import job as work
from anon_tune.worker.job import weights_metadata

pytestmark = pytest.mark.trains

DP = {"dp.clip_norm": 1.0, "dp.noise_multiplier": 1.0}


def trainer(recipe: Recipe, clips: Clips) -> PrivateTrainer:
    made = trainer_of(recipe)(
        recipe,
        partial(build_anonymizer, recipe),
        clips.split("train"),
        len(clips.actions),
        len(clips.attributes),
        torch.device("cpu"),
    )
    assert isinstance(made, PrivateTrainer)
    return made


def state(module: nn.Module) -> list[Tensor]:
    return [tensor.clone() for tensor in module.state_dict().values()]


def equal(one: list[Tensor], two: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def norm(gradient: dict[str, Tensor]) -> float:
    return float(torch.cat([part.flatten() for part in gradient.values()]).norm())


def test_a_recipe_without_dp_is_the_recipe_that_it_was() -> None:
    assert make_recipe({}).fingerprint() == "b770c6b467306d16"
    assert make_recipe(DP).fingerprint() != make_recipe({}).fingerprint()


def test_gradients_of_single_clips_add_up_to_that_of_the_batch(avatars: Clips) -> None:
    game = trainer(make_recipe({**DP, "anonymizer.base_channels": 4}), avatars)
    train = avatars.split("train")
    clips, actions = train.clips(range(6)), torch.from_numpy(train.actions[:6])
    units = torch.tensor([0, 0, 1, 2, 2, 2])

    def loss(clip: Tensor, action: Tensor) -> Tensor:
        return F.cross_entropy(game.utility(quantize(game.anonymizer(clip[None]))), action[None])

    players = {"anonymizer": game.anonymizer, "utility": game.utility}
    got = clipped_sum(players, loss, (clips, actions), units, 3, 1e9)
    sizes = torch.bincount(units)
    each = torch.stack([loss(c, a) for c, a in zip(clips, actions, strict=True)])
    total = (each / sizes[units]).sum()  # the mean over the clips of a unit, added up over units
    for name, player in players.items():
        wanted = torch.autograd.grad(total, list(player.parameters()), retain_graph=True)
        for (key, _), gradient in zip(player.named_parameters(), wanted, strict=True):
            assert torch.allclose(got[f"{name}.{key}"], gradient, atol=2e-6), key


def test_one_unit_changes_the_sum_by_no_more_than_the_norm() -> None:
    network = nn.Linear(3, 1)
    players = {"line": network}

    def loss(x: Tensor) -> Tensor:
        return network(x).square().sum()

    x = torch.tensor([[10.0, 0, 0], [0, 20, 0], [0.01, 0, 0.01], [torch.inf, 0, 0]])
    whole = clipped_sum(players, loss, (x,), torch.arange(4), 4, 0.5)
    assert all(part.isfinite().all() for part in whole.values())
    for left_out in range(4):
        rows = torch.tensor([row for row in range(4) if row != left_out])
        rest = clipped_sum(players, loss, (x[rows],), torch.arange(3), 3, 0.5)
        change = norm({name: whole[name] - rest[name] for name in whole})
        assert change <= 0.5 + 1e-6
        if left_out < 2:
            assert change == pytest.approx(0.5, rel=1e-4)  # a large gradient is clipped to the norm, not below
    together = clipped_sum(players, loss, (x[:3],), torch.zeros(3, dtype=torch.int64), 1, 0.5)
    assert norm(together) <= 0.5 + 1e-6


def test_many_clips_are_added_up_in_parts_without_dividing_a_unit() -> None:
    network = nn.Linear(2, 1)
    x, units = torch.randn(70, 2), torch.arange(70) // 5

    def loss(row: Tensor) -> Tensor:
        return network(row).square().sum()

    whole = clipped_sum({"line": network}, loss, (x,), units, 14, 0.3)
    parts = [
        clipped_sum({"line": network}, loss, (x[units == unit],), torch.zeros(5, dtype=torch.int64), 1, 0.3)
        for unit in range(14)
    ]
    for name, value in whole.items():
        assert torch.allclose(value, torch.stack([part[name] for part in parts]).sum(dim=0), atol=1e-6)


def test_an_empty_sample_is_only_noise_of_the_right_size() -> None:
    network = nn.Linear(200, 200)
    total = clipped_sum(
        {"n": network}, lambda x: network(x).sum(), (torch.zeros(0, 200),), torch.zeros(0, dtype=torch.int64), 0, 1.0
    )
    assert norm(total) == 0 and total.keys() == parameters_of({"n": network}).keys()
    noised = add_noise(total, 3.0, 6.0, KeyedNumbers(b"key"))
    values = torch.cat([part.flatten() for part in noised.values()])
    assert float(values.std()) == pytest.approx(0.5, rel=0.02) and abs(float(values.mean())) < 0.01


def test_units_are_drawn_with_the_rate_and_whole(avatars: Clips) -> None:
    train = avatars.split("train")
    sampler = PoissonSampler(train, 0.25, b"key", by_group=True)
    assert sampler.num_units == len(set(train.groups)) < len(train)
    drawn = [sampler.batch(f"move {at}") for at in range(400)]
    rate = sum(batch.num_units for batch in drawn) / (400 * sampler.num_units)
    assert rate == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / (400 * sampler.num_units)) ** 0.5)
    assert len({batch.num_units for batch in drawn}) > 1  # the size is random
    group_of = dict(zip(train.ids, train.groups, strict=True))
    size_of = {group: train.groups.count(group) for group in train.groups}
    for batch in drawn[:20]:
        groups = [group_of[clip] for clip in batch.batch.ids]
        assert len(groups) == sum(size_of[group] for group in set(groups))
        assert len(set(zip(groups, batch.units.tolist(), strict=True))) == batch.num_units
    assert sampler.batch("move 1").batch.ids == drawn[1].batch.ids
    assert PoissonSampler(train, 0.25, b"other", by_group=True).batch("move 1").batch.ids != drawn[1].batch.ids


def test_noise_is_new_in_every_trial_and_moves_every_network(avatars: Clips) -> None:
    recipe = make_recipe({**TINY, **DP})
    one, two = trainer(recipe, avatars), trainer(recipe, avatars)
    before = [state(player) for player in (one.anonymizer, one.utility, one.privacy)]
    assert one.train_until(1) == [] and two.train_until(1) == []  # losses are not private
    assert not equal(state(one.anonymizer), state(two.anonymizer))
    for player, was in zip((one.anonymizer, one.utility, one.privacy), before, strict=True):
        assert not equal(state(player), was)


TINY = {
    "anonymizer.base_channels": 4,
    "anonymizer.pretrain_steps": 2,
    "training.num_steps": 4,
    "training.batch_clips": 4,
    "training.warmup_steps": 1,
    "training.num_branch_updates": 1,
}

KILLED = """
import sys, torch
from anon_tune.clips import open_clips
from anon_tune.methods import read_recipe
from anon_tune.trial import RungJob
from anon_tune.worker import job as work

work._STEPS_AT_A_TIME, work._CHECKPOINT_EVERY_S = 1, -1.0
recipe = read_recipe(sys.argv[1])
work.perform(RungJob("0000", recipe, sys.argv[2], 0, 4000, False, None), open_clips(sys.argv[3]), torch.device("cpu"))
"""


def test_a_killed_trial_goes_on_with_the_noise_it_would_have_had(avatars: Clips, tmp_path: Path) -> None:
    recipe = make_recipe({**TINY, **DP, "training.num_steps": 4000})
    place = TrialDirectory.at(tmp_path / "trial")
    command = [sys.executable, "-c", KILLED, recipe.model_dump_json(), str(tmp_path / "trial"), avatars.location]
    with subprocess.Popen(command) as process:
        while not place.checkpoint.exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    whole, gone_on = trainer(recipe, avatars), trainer(recipe, avatars)
    with place.checkpoint.reading() as path, safe_open(path, "pt") as file:
        note = json.loads(file.metadata()["dp"])
        reached = int(file.metadata()["step"])
        gone_on.load(path)
    kept = PrivateRun.from_json(note["account"], "checkpoint")
    assert kept.updates == updates_until(recipe, reached) and gone_on.step == reached
    whole._begin(bytes.fromhex(note["key"]))  # a run that nobody kills, with the same secret
    whole.train_until(reached + 2)
    gone_on.train_until(reached + 2)
    for player in ("anonymizer", "utility", "privacy"):
        assert equal(state(getattr(whole, player)), state(getattr(gone_on, player)))


def test_a_trial_whose_checkpoint_is_gone_is_not_trained_again(avatars: Clips, tmp_path: Path) -> None:
    recipe, place = make_recipe({**TINY, **DP}), TrialDirectory.at(tmp_path)
    job = RungJob("0000", recipe, str(tmp_path), 0, 1, False, None)
    work._train(job, avatars, torch.device("cpu"), None)
    place.checkpoint.remove()  # before its first score: nobody has seen anything of this run
    work._train(job, avatars, torch.device("cpu"), None)
    place.checkpoint.remove()
    place.weights.folder.write(place.weights.name, b"of the first rung")
    with pytest.raises(AnonTuneError, match=r"is gone\. This private trial was scored before, .* Restore the file"):
        work._train(job, avatars, torch.device("cpu"), None)


def test_a_trial_does_not_go_on_with_other_noise(avatars: Clips, tmp_path: Path) -> None:
    first = trainer(make_recipe({**TINY, **DP}), avatars)
    first.train_until(1)
    first.save(tmp_path / "checkpoint")
    other = trainer(make_recipe({**TINY, **DP, "dp.noise_multiplier": 2.0}), avatars)
    with pytest.raises(AnonTuneError, match=r"began with noise_multiplier 1\.0, .* got 2\.0\. Go on with 1\.0"):
        other.load(tmp_path / "checkpoint")


def test_weights_carry_their_account(avatars: Clips) -> None:
    recipe, train = make_recipe({**TINY, **DP}), avatars.split("train")
    carried = weights_metadata(RungJob("0000", recipe, "", 0, 4, True, None), avatars)
    account = PrivateRun.from_json(carried["account"], "weights")
    assert account == private_run(recipe, len(train), len(set(train.groups)))
    assert account.num_updates == 2 + 1 + 4 * (1 + 1)
    stopped = weights_metadata(RungJob("0000", recipe, "", 0, 1, False, None), avatars)
    assert PrivateRun.from_json(stopped["account"], "weights").num_updates == 2 + 1 + 1 * (1 + 1)
    assert "account" not in weights_metadata(RungJob("0000", make_recipe(TINY), "", 0, 4, True, None), avatars)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"dp.noise_multiplier": 0.0}, "'dp.noise_multiplier': must be above 0"),
        ({"dp.noise_multiplier": None}, "needs 'dp.noise_multiplier' too"),
        ({"privacy.head": "nt_xent"}, "NT-Xent compares the clips of a batch"),
        ({"privacy.branches": "network,frame"}, "attackers normalize a batch"),
        ({"privacy.num_branches": 2}, "'privacy.driver' = 'all'"),
        ({"privacy.restart_steps": 2}, "'privacy.restart_steps' = 0"),
        ({"training.jitter": 0.2}, "'training.jitter' = 0.0, because its steps make no use of it"),
        ({"training.precision": "bfloat16"}, "'training.precision' = float32, because"),
    ],
)
def test_a_recipe_that_cannot_be_private_is_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        make_recipe({name: value for name, value in {**DP, **values}.items() if value is not None})


def test_dp_values_without_dp_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"'dp\.unit' needs 'dp\.clip_norm' and 'dp\.noise_multiplier'"):
        make_recipe({"dp.unit": "groups"})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"training.batch_clips": 1000}, "must be at most the .* clips"),
        ({"dp.delta": 0.5}, "'dp.delta' must be below 1/"),
        ({"privacy.network": "resnet18"}, "'privacy.network' has, got BatchNorm2d"),
    ],
)
def test_clips_and_networks_that_cannot_be_private_are_refused(
    values: dict[str, object], said: str, avatars: Clips
) -> None:
    with pytest.raises(RecipeError, match=said):
        trainer(make_recipe({**TINY, **DP, **values}), avatars)


@pytest.mark.parametrize("values", [{"method": "bdq"}, {"anonymizer.residual": True}], ids=["bdq", "residual"])
def test_scalar_weights_learn_privately_too(values: dict[str, object], avatars: Clips) -> None:
    shared = {name: value for name, value in TINY.items() if not name.startswith("anonymizer.")}
    without_imitation = {} if "method" in values else {"anonymizer.pretrain_steps": 0}
    game = trainer(make_recipe({**shared, **DP, **without_imitation, **values}), avatars)
    before = state(game.anonymizer)
    game.train_until(1)
    assert not equal(before, state(game.anonymizer))


def test_a_method_that_cannot_look_at_clips_apart_is_refused() -> None:
    recipe = make_recipe({**DP, "method": "learned-lens"})
    with pytest.raises(RecipeError, match=r"each clip of a batch apart: .*, got method 'learned-lens'\. Choose"):
        check_private_networks(recipe, build_anonymizer(recipe), (4, 16, 20), "space.toml")
    for method in ("adversarial", "tokens"):
        recipe = make_recipe({**DP, "method": method})
        check_private_networks(recipe, build_anonymizer(recipe), (8, 32, 32), "space.toml")


PERSONS = {**TINY, **DP, "dp.region": "persons"}


def test_only_what_persons_add_to_a_gradient_is_noised(avatars: Clips) -> None:
    game = trainer(make_recipe(PERSONS), avatars)
    game._begin(b"key")  # one whose first sample is not empty
    drawn = game.sampler.batch("move 0")
    players = {"anonymizer": game.anonymizer}

    def loss(clip: Tensor) -> Tensor:
        return game.anonymizer(clip[None]).square().mean()

    difference, tensors = game._private_part(("anonymizer",), loss, lambda batch, name: (), drawn, "move 0")
    found = clipped_sum(players, difference, tensors, drawn.units, drawn.num_units, 1e9)
    assert drawn.without_persons is not None and len(tensors) == 2
    whole = sum(loss(clip) for clip in drawn.batch.clips) - sum(loss(clip) for clip in drawn.without_persons)
    assert isinstance(whole, Tensor)
    wanted = torch.autograd.grad(whole, list(game.anonymizer.parameters()))
    for (key, _), gradient in zip(game.anonymizer.named_parameters(), wanted, strict=True):
        assert torch.allclose(found[f"anonymizer.{key}"], gradient, atol=2e-6), key
    # Where no mask shows anybody, nothing is private, also in layers that draw numbers.
    noisy = clipped_sum(
        {"anonymizer": game.anonymizer},
        game._private_part(
            ("anonymizer",),
            lambda clip: (game.anonymizer(clip[None]) * torch.rand(1)).sum(),
            lambda batch, name: (),
            replace(drawn, without_persons=drawn.batch.clips),
            "move 0",
        )[0],
        (drawn.batch.clips, drawn.batch.clips),
        drawn.units,
        drawn.num_units,
        1.0,
    )
    assert norm(noisy) == 0 and drawn.num_units > 0
    # Two sets of clips that differ in one person's pixels differ by at most the norm, before noise.
    one = clipped_sum(
        players, difference, (drawn.batch.clips, drawn.without_persons), drawn.units, drawn.num_units, 0.1
    )
    other = clipped_sum(
        players,
        difference,
        (torch.cat([drawn.without_persons[:1], drawn.batch.clips[1:]]), drawn.without_persons),
        drawn.units,
        drawn.num_units,
        0.1,
    )
    assert norm({name: one[name] - other[name] for name in one}) <= 0.1 + 1e-6


def test_an_update_of_the_masked_game_is_its_public_and_its_private_part(avatars: Clips) -> None:
    quiet = make_recipe({**PERSONS, "dp.clip_norm": 1e6, "dp.noise_multiplier": 1e-9})
    game = trainer(quiet, avatars)
    game._begin(b"key")  # one whose first sample is not empty
    taken: list[dict[str, Tensor]] = []
    game._take = lambda players, gradient: taken.append(dict(gradient))  # type: ignore[method-assign]

    def loss(clip: Tensor) -> Tensor:
        return game.anonymizer(clip[None]).square().mean()

    game._learn_privately(("anonymizer",), loss, lambda batch, name: (), "move 0")
    drawn, public = game.sampler.batch("move 0"), game.sampler.public("move 0", quiet.training.batch_clips)
    assert drawn.without_persons is not None
    expected = game.run.rate * game.run.num_units
    total = torch.stack([loss(clip) for clip in public.clips]).mean() + (
        torch.stack([loss(clip) for clip in drawn.batch.clips]).sum()
        - torch.stack([loss(clip) for clip in drawn.without_persons]).sum()
    ) / expected  # fmt: skip
    wanted = torch.autograd.grad(total, list(game.anonymizer.parameters()))
    for (key, _), gradient in zip(game.anonymizer.named_parameters(), wanted, strict=True):
        assert torch.allclose(taken[0][f"anonymizer.{key}"], gradient, atol=2e-3), key
    game = trainer(make_recipe(PERSONS), avatars)
    assert game.train_until(1) == []


def test_a_region_of_persons_needs_masks_and_the_same_ones_again(avatars: Clips, tmp_path: Path) -> None:
    without = replace(avatars, _persons=None)
    with pytest.raises(RecipeError, match=r"needs clips with person masks, and these have none\. Find the"):
        trainer(make_recipe(PERSONS), without)
    nobody = replace(avatars, _persons=np.zeros_like(avatars._persons))
    with pytest.raises(RecipeError, match="protects nothing, because the masks of the clips show no person"):
        trainer(make_recipe(PERSONS), nobody)
    first = trainer(make_recipe(PERSONS), avatars)
    first.save(tmp_path / "checkpoint")
    other = replace(avatars, _persons=np.bitwise_not(np.asarray(avatars._persons)))
    with pytest.raises(AnonTuneError, match=r"began with other person masks\. Restore the masks, or begin a new"):
        trainer(make_recipe(PERSONS), other).load(tmp_path / "checkpoint")
    trainer(make_recipe(PERSONS), avatars).load(tmp_path / "checkpoint")
