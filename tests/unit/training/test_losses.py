from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from anon_tune.training import adversary, nt_xent, penalty, privacy_loss, uniform


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_nt_xent_is_what_its_equation_says(temperature: float) -> None:
    torch.manual_seed(0)
    first, second = F.normalize(torch.randn(2, 5, 7, dtype=torch.float64), dim=2)
    views = [*first, *second]
    expected = []
    for i, view in enumerate(views):
        others = [math.exp(float(view @ other) / temperature) for k, other in enumerate(views) if k != i]
        partner = math.exp(float(view @ views[(i + 5) % 10]) / temperature)
        expected.append(-math.log(partner / sum(others)))
    found = nt_xent(first, second, temperature)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_nt_xent_is_near_zero_for_a_branch_that_tells_every_still_apart() -> None:
    eye = torch.eye(4)
    assert nt_xent(eye, eye, 0.05).max() < 1e-6


def test_the_two_views_of_a_still_follow_each_other() -> None:
    eye = torch.eye(4).repeat_interleave(2, dim=0)
    loss, _ = privacy_loss(eye, torch.zeros(8, 1), "nt_xent", 0.05)
    assert loss.max() < 1e-6
    loss, _ = privacy_loss(torch.eye(4).repeat(2, 1), torch.zeros(8, 1), "nt_xent", 0.05)
    assert loss.min() > 1


def test_the_attribute_head_is_scored_by_element() -> None:
    logits = torch.tensor([[2.0, -1.0], [0.0, 3.0]])
    private = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    loss, blind = privacy_loss(logits, private, "attributes", 0.1)
    expected = [[math.log1p(math.exp(-2)), math.log1p(math.exp(-1))], [math.log(2), math.log1p(math.exp(-3))]]
    torch.testing.assert_close(loss, torch.tensor(expected))
    assert blind == math.log(2)


def test_one_clip_cannot_hide_behind_another() -> None:
    raw = torch.zeros(2, 1, 3, 2, 2)
    changed = torch.stack([torch.full_like(raw[0], 0.5), torch.zeros_like(raw[0])])
    # Together their rms is 0.35, within 0.4; the first alone is beyond it.
    assert float(penalty(raw, changed, 0.4)) == pytest.approx((0.5 - 0.4) / 2, abs=1e-6)


def test_the_bound_is_a_multiple_of_the_blind_loss() -> None:
    loss = torch.tensor([0.0, 0.5, 100.0])
    assert float(adversary(loss, 1.0, "cap", 2.0)) == pytest.approx(-(0 + 0.5 + 2) / 3)
    assert float(adversary(loss, 1.0, "tanh", 2.0)) == pytest.approx(-(2 * math.tanh(0.25) + 2) / 3)


def test_the_uniform_target_is_a_half() -> None:
    logits = torch.tensor([[2.0, -1.0], [0.0, 30.0]], requires_grad=True)
    found = uniform(logits)
    expected = [-(math.log(p) + math.log(1 - p)) / 2 for p in (1 / (1 + math.exp(-x)) for x in (2.0, -1.0, 0.0, 30.0))]
    assert found.item() == pytest.approx(sum(expected) / 4, rel=1e-4)
    (gradient,) = torch.autograd.grad(found, logits)
    torch.testing.assert_close(gradient, (torch.sigmoid(logits.detach()) - 0.5) / 4)
    assert float(uniform(torch.zeros(3, 2))) == pytest.approx(math.log(2))


def test_nt_xent_is_computed_in_float32_whatever_the_networks_compute_in() -> None:
    first, second = (F.normalize(torch.randn(8, 16, generator=torch.Generator().manual_seed(at))) for at in (0, 1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        lowered = nt_xent(first, second, 0.1)
    assert torch.equal(lowered, nt_xent(first, second, 0.1))
