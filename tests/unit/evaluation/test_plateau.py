from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from anon_tune.clips import Clips
from anon_tune.evaluation import class_mean_ap, predict
from anon_tune.evaluation.attackers import build_attacker
from anon_tune.evaluation.plateau import MIN_RISE, Fit, fit_until_plateau
from anon_tune.recipe import AuditRecipe

CPU = torch.device("cpu")
EFFORT = AuditRecipe(check_steps=10, patience=3, width=8)


class Blind(nn.Module):
    """Says the same of every clip, whatever it learns."""

    def __init__(self, num_outputs: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(num_outputs))

    def forward(self, clips: Tensor) -> Tensor:
        return self.logits.expand(len(clips), -1)


def fitted(clips: Clips, network: nn.Module, max_steps: int, effort: AuditRecipe = EFFORT) -> Fit:
    train, val = clips.split("train"), clips.split("val")
    return fit_until_plateau(network, train, val, "private", max_steps, effort, 0, CPU)


def test_a_flat_curve_ends_after_patience(avatars: Clips) -> None:
    fit = fitted(avatars, Blind(len(avatars.attributes)), 1000)
    assert fit.plateau
    # The first look is the best so far; three more do not rise.
    assert [step for step, _ in fit.curve] == [10, 20, 30, 40]
    assert len({value for _, value in fit.curve}) == 1


def test_steps_that_run_out_are_no_plateau(avatars: Clips) -> None:
    fit = fitted(avatars, Blind(len(avatars.attributes)), 25)
    assert not fit.plateau
    assert [step for step, _ in fit.curve] == [10, 20, 25]


@pytest.mark.parametrize("max_steps", [25, 1000])
def test_the_best_look_is_kept(avatars: Clips, max_steps: int) -> None:
    torch.manual_seed(0)
    network = build_attacker("pixels", len(avatars.attributes), 8)
    fit = fitted(avatars, network, max_steps)
    values = dict(fit.curve)
    assert values[fit.step] == max(values.values())
    val = avatars.split("val")
    assert class_mean_ap(predict(network, val, 16, CPU).numpy(), val.private) == values[fit.step]
    assert all(torch.equal(tensor, fit.weights[name]) for name, tensor in network.state_dict().items())


def test_a_plateau_is_where_patience_looks_did_not_rise(avatars: Clips) -> None:
    torch.manual_seed(0)
    fit = fitted(avatars, build_attacker("frame", len(avatars.attributes), 8), 1000)
    assert fit.plateau
    values = [value for _, value in fit.curve]
    before, after = values[: -EFFORT.patience], values[-EFFORT.patience :]
    assert max(before) > values[0]
    assert max(after) <= max(before) + MIN_RISE


def test_training_is_a_pure_function_of_its_seed(avatars: Clips) -> None:
    def curve(disturb: int) -> tuple[tuple[int, float], ...]:
        torch.manual_seed(disturb)
        torch.rand(disturb)
        torch.manual_seed(5)
        return fitted(avatars, build_attacker("frame", len(avatars.attributes), 4), 30).curve

    assert curve(1) == curve(2)
