from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from anon_tune.attackers import Fit, Setting, find
from anon_tune.clips import Clips
from anon_tune.evaluation import FixedSteps, Plateau, class_mean_ap, fit, predict
from anon_tune.evaluation.stop_rules import MIN_RISE, StopRule

CPU = torch.device("cpu")
PATIENCE = 3


class Blind(nn.Module):
    """A network that predicts the same for every clip, whatever it learns."""

    def __init__(self, num_outputs: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(num_outputs))

    def forward(self, clips: Tensor) -> Tensor:
        return self.logits.expand(len(clips), -1)


def fitted(clips: Clips, network: nn.Module, max_steps: int, rule: StopRule | None = None) -> Fit:
    train, val = clips.split("train"), clips.split("val")
    rule = rule or Plateau(max_steps, check_steps=10, patience=PATIENCE)
    return fit(network, train, val, "private", rule, 16, 3e-3, 0, CPU)


def build_attacker(name: str, num_outputs: int, width: int) -> nn.Module:
    built = find(name).build(Setting(num_outputs, width, (4, 16, 20)))
    assert isinstance(built, nn.Module)
    return built


def test_a_flat_curve_ends_after_patience(avatars: Clips) -> None:
    made = fitted(avatars, Blind(len(avatars.attributes)), 1000)
    assert made.plateau
    # The first look is the best so far; three more do not rise.
    assert [step for step, _ in made.curve] == [10, 20, 30, 40]
    assert len({value for _, value in made.curve}) == 1


def test_steps_that_run_out_are_no_plateau(avatars: Clips) -> None:
    made = fitted(avatars, Blind(len(avatars.attributes)), 25)
    assert not made.plateau
    assert [step for step, _ in made.curve] == [10, 20, 25]


@pytest.mark.parametrize("max_steps", [25, 1000])
def test_the_best_look_is_kept(avatars: Clips, max_steps: int) -> None:
    torch.manual_seed(0)
    network = build_attacker("pixels", len(avatars.attributes), 8)
    made = fitted(avatars, network, max_steps)
    values = dict(made.curve)
    assert values[made.step] == max(values.values())
    val = avatars.split("val")
    assert class_mean_ap(predict(network, val, 16, CPU).numpy(), val.private) == values[made.step]


def test_a_plateau_is_where_patience_looks_did_not_rise(avatars: Clips) -> None:
    torch.manual_seed(0)
    made = fitted(avatars, build_attacker("frame", len(avatars.attributes), 8), 1000)
    assert made.plateau
    values = [value for _, value in made.curve]
    before, after = values[:-PATIENCE], values[-PATIENCE:]
    assert max(before) > values[0]
    assert max(after) <= max(before) + MIN_RISE


def test_training_is_a_pure_function_of_its_seed(avatars: Clips) -> None:
    def curve(disturb: int) -> tuple[tuple[int, float], ...]:
        torch.manual_seed(disturb)
        torch.rand(disturb)
        torch.manual_seed(5)
        return fitted(avatars, build_attacker("frame", len(avatars.attributes), 4), 30).curve

    assert curve(1) == curve(2)


def test_fixed_steps_look_at_nothing_and_keep_the_last_weights(avatars: Clips) -> None:
    blind = Blind(len(avatars.attributes))
    made = fitted(avatars, blind, 0, FixedSteps(7))
    assert (made.step, made.plateau, made.curve) == (7, False, ())
    assert blind.logits.abs().max() > 0
