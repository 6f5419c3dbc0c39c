from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from anon_tune.networks import PrivacyNetwork, build_network
from anon_tune.recipe import PrivacyRecipe
from anon_tune.training import Collective, PrivacyBranches, Seen, Target

NUM_ATTRIBUTES = 2


def build(**fields: Any) -> PrivacyBranches:
    torch.manual_seed(0)
    return PrivacyBranches(PrivacyRecipe(**fields), Target(NUM_ATTRIBUTES), Collective())


def says(branches: PrivacyBranches, *logits: float) -> PrivacyBranches:
    """Let every branch output one logit for every attribute, with a small part of the frame so that gradients flow."""
    for branch, logit in zip(branches, logits, strict=True):
        assert isinstance(branch, PrivacyNetwork)
        last = [module for module in branch.head.modules() if isinstance(module, nn.Linear)][-1]
        nn.init.constant_(last.weight, 1e-6)
        nn.init.constant_(last.bias, logit)
    return branches


def weights(module: nn.Module) -> list[Tensor]:
    return [tensor.clone() for tensor in module.state_dict().values()]


def same(one: list[Tensor], two: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_branches_differ_in_their_first_weights() -> None:
    branches = build(num_branches=3)
    first, second, third = (weights(branch) for branch in branches)
    assert not (same(first, second) or same(first, third) or same(second, third))
    torch.manual_seed(0)
    assert same(first, weights(build_network(PrivacyRecipe(), NUM_ATTRIBUTES)))


@pytest.mark.parametrize("network", ["small2d", "resnet18"])
def test_a_restart_is_a_draw_of_its_seed_alone(network: str) -> None:
    branches, others = (build(num_branches=2, network=network) for _ in range(2))
    for tensor in others.state_dict().values():
        tensor.add_(1)  # a batch norm's statistics and counts are forgotten too
    before, present = weights(branches), [id(p) for p in branches.parameters()]
    state = torch.random.get_rng_state()
    branches.restart(7, 0)
    others.restart(7, 0)
    assert same(weights(branches), weights(others))
    assert not same(weights(branches), before)
    assert [id(p) for p in branches.parameters()] == present  # an optimizer still holds them
    assert torch.equal(torch.random.get_rng_state(), state)
    others.restart(8, 0)
    assert not same(weights(branches), weights(others))


@pytest.mark.parametrize(
    ("target", "cap", "driver"),
    [
        ("loss", 10.0, 1),  # is right
        ("uniform", 1.0, 2),  # is surest, and wrong
    ],
)
def test_the_branch_that_tells_most_drives_alone(target: str, cap: float, driver: int) -> None:
    logits = (0.0, 2.0, -3.0)
    branches = says(build(num_branches=3, target=target, cap=cap), *logits)
    frames = torch.rand(4, 2, 3, 16, 16, requires_grad=True)
    term, loss = branches.drive(Seen(frames, frames, torch.ones(4, NUM_ATTRIBUTES)))
    right = math.log1p(math.exp(-logits[driver]))  # L_B, every label is 1
    undecided = (math.log1p(math.exp(3)) + math.log1p(math.exp(-3))) / 2
    assert loss.item() == pytest.approx(right, abs=1e-3)
    assert term.item() == pytest.approx(-right if target == "loss" else undecided, abs=1e-3)
    term.backward()
    assert frames.grad is not None
    assert frames.grad.abs().max() > 0
    driving = [any(p.grad is not None for p in branch.parameters()) for branch in branches]
    assert driving == [number == driver for number in range(3)]


def test_what_f_a_sees_depends_on_the_labels_for_one_target_only() -> None:
    frames = torch.rand(4, 2, 3, 16, 16)
    for target in ("loss", "uniform"):
        branches = build(num_branches=2, target=target)
        labels = torch.zeros(4, NUM_ATTRIBUTES), torch.ones(4, NUM_ATTRIBUTES)
        terms = {branches.drive(Seen(frames, frames, told))[0].item() for told in labels}
        assert len(terms) == (1 if target == "uniform" else 2)


@pytest.mark.parametrize("head", ["attributes", "nt_xent"])
def test_a_loss_by_element_of_every_branch(head: str) -> None:
    branches = build(num_branches=3, head=head)
    frames = torch.rand(4, 2, 3, 16, 16)
    seen = Seen(frames, frames, torch.ones(4, NUM_ATTRIBUTES))
    losses = branches.losses(seen)
    assert [loss.shape for loss in losses] == [(8,) if head == "nt_xent" else (8, NUM_ATTRIBUTES)] * 3
    hardest = min(loss.mean().item() for loss in losses)
    assert branches.drive(seen)[1].item() == hardest
