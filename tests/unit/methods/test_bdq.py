"""BDQ: a fixed range, outputs that show only changes, and weights that the game can train."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from anon_tune.methods import build_anonymizer, make_recipe
from anon_tune.networks import save_weights
from anon_tune.networks.bdq import Bdq
from anon_tune.recipe import AnonymizerRecipe, Recipe

RECIPE = make_recipe({"method": "bdq"}).anonymizer


def test_it_is_what_the_method_builds_and_has_sixteen_weights() -> None:
    bdq = build_anonymizer(Recipe(method="bdq", anonymizer=RECIPE))
    assert isinstance(bdq, Bdq)
    assert sum(weights.numel() for weights in bdq.parameters()) == 16


def test_a_still_clip_is_one_grey_whatever_it_shows() -> None:
    bdq = Bdq()
    one, two = torch.rand(1, 1, 3, 12, 10).expand(2, 4, 3, 12, 10), torch.rand(1, 4, 3, 12, 10)
    with torch.no_grad():
        out = bdq(one)
        assert out.std() < 1e-5
        assert out.mean().item() == pytest.approx(0.5, abs=1e-5)
        assert bdq(two).std() > 0.05


def test_the_range_does_not_depend_on_the_other_clips() -> None:
    bdq = Bdq()
    calm, wild = 0.5 + 0.01 * torch.rand(1, 4, 3, 9, 7), torch.rand(1, 4, 3, 9, 7)
    with torch.no_grad():
        together = bdq(torch.cat([calm, wild]))
        torch.testing.assert_close(together[:1], bdq(calm))
        torch.testing.assert_close(together[1:], bdq(wild))


def test_a_difference_is_put_out_as_its_step() -> None:
    bdq = Bdq()
    levels = torch.tensor([-1.0, -1 / 3, -0.2, 0.0, 0.2, 1 / 3, 1.0])
    clips = torch.stack([torch.full_like(levels, 0.5) - levels / 2, 0.5 + levels / 2])  # (T,7), a difference each
    with torch.no_grad():
        out = bdq(clips.T.reshape(7, 2, 1, 1, 1).expand(7, 2, 3, 6, 6))[:, 1, 0, 0, 0]
    # By hand: 15 (0.5 + 1.5 d) is the place on the scale, cut to [0, 15]; edges lie at 0.5, 1.5, ...
    places = (15 * (0.5 + 1.5 * levels)).clamp(0, 15)
    edges = torch.arange(15) + 0.5
    expected = torch.sigmoid(5 * (places[:, None] - edges)).sum(dim=1) / 15
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-5)
    assert (out.diff() >= 0).all()
    assert out[0] < 0.01 and out[-1] > 0.99


def test_every_weight_gets_a_gradient() -> None:
    bdq = Bdq()
    clips = torch.rand(2, 4, 3, 12, 12)
    bdq(clips).square().mean().backward()
    for weights in bdq.parameters():
        assert weights.grad is not None
        assert (weights.grad != 0).all()
        assert torch.isfinite(weights.grad).all()


def test_weights_go_out_and_come_back(tmp_path: Path) -> None:
    one = Bdq()
    with torch.no_grad():
        for weights in one.parameters():
            weights.add_(0.1 * torch.rand_like(weights))
    save_weights(one.state_dict(), tmp_path / "bdq.safetensors")
    started = AnonymizerRecipe(network="bdq", weights=str(tmp_path / "bdq.safetensors"))
    two = build_anonymizer(Recipe(method="adversarial", anonymizer=started))
    clips = torch.rand(3, 3, 8, 9)
    assert torch.equal(one(clips), two(clips))
    assert not torch.equal(Bdq()(clips), two(clips))
