from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from anon_tune.attackers import ATTACKERS, Setting, find
from anon_tune.clips import Clips, epoch_batches
from anon_tune.evaluation import FixedSteps, fit, predict
from anon_tune.training.views import random_view

CPU = torch.device("cpu")


def build(name: str, num_outputs: int, width: int) -> nn.Module:
    built = find(name).build(Setting(num_outputs, width, (4, 16, 20)))
    assert isinstance(built, nn.Module)
    return built


@pytest.mark.parametrize("num_steps", range(1, 9))
def test_any_effort_can_be_spent(avatars: Clips, num_steps: int) -> None:
    attacker = build("clip", len(avatars.attributes), width=4)
    seen: list[int] = []
    attacker.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    train, val = avatars.split("train"), avatars.split("val")
    fit(attacker, train, val, "private", FixedSteps(num_steps), 8, 1e-3, seed=0, device=CPU)
    assert seen == [8] * num_steps


@pytest.mark.parametrize("target", ["private", "action"])
def test_fitting_learns_its_target(avatars: Clips, target: str) -> None:
    split = avatars.split("train")
    torch.manual_seed(0)
    attacker = build("clip", 6, width=8)
    (batch,) = epoch_batches(split, len(split), 0, 0, shuffle=False)

    def loss() -> float:
        with torch.no_grad():
            logits = attacker.eval()(batch.clips)
            if target == "action":
                return float(torch.nn.functional.cross_entropy(logits, batch.actions))
            return float(torch.nn.functional.binary_cross_entropy_with_logits(logits, batch.private))

    before = loss()
    fit(attacker, split, split, target, FixedSteps(40), 8, 3e-3, seed=0, device=CPU)  # type: ignore[arg-type]
    assert loss() < 0.8 * before


@pytest.mark.parametrize(
    "family", [name for name, spec in ATTACKERS.ours.items() if name != "descriptors" and not spec.inputs]
)
def test_clips_that_look_the_same_are_ties(avatars: Clips, family: str) -> None:
    split = avatars.split("val")
    same = replace(split, frames=np.broadcast_to(split.frames[:1], split.frames.shape))
    attacker = build(family, 6, width=16)
    seen: list[int] = []
    attacker.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    for batch_clips in (len(split) - 1, 5, 100):  # the first leaves a batch of one
        assert len(predict(attacker, same, batch_clips, CPU).unique(dim=0)) == 1
    assert set(seen) == {len(split) - 1, 5, 100}


def test_predictions_are_in_the_order_of_the_split_whatever_the_batch(avatars: Clips) -> None:
    split = avatars.split("val")
    torch.manual_seed(0)
    attacker = build("frame", 3, width=4)
    whole, parts = (predict(attacker, split, size, CPU) for size in (len(split), 5))
    assert whole.shape == (len(split), 3)
    torch.testing.assert_close(whole, parts, rtol=0, atol=2e-5)
    alone = torch.cat([attacker(split.clips([row])) for row in range(len(split))]).double()
    torch.testing.assert_close(whole, alone, rtol=0, atol=2e-5)


def test_a_shift_moves_every_clip_as_a_whole_and_repeats_its_border() -> None:
    torch.manual_seed(0)
    clips = torch.rand(64, 3, 2, 5, 7)
    moved = random_view(clips, 1, mirrors=False)
    assert moved.shape == clips.shape
    padded = torch.nn.functional.pad(clips.flatten(1, 2), (1, 1, 1, 1), mode="replicate").view(64, 3, 2, 7, 9)
    places = [
        [(y, x) for y in range(3) for x in range(3) if torch.equal(m, p[..., y : y + 5, x : x + 7])]
        for m, p in zip(moved, padded, strict=True)
    ]
    assert {tuple(found) for found in places} == {((y, x),) for y in range(3) for x in range(3)}
    assert torch.equal(random_view(clips, 0, mirrors=False), clips)
