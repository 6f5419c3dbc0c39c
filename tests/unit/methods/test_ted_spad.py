"""TeD-SPAD: the triplet loss, its windows and views, and what it changes in the game."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from anon_tune.clips import Clips
from anon_tune.errors import RecipeError
from anon_tune.methods import build_anonymizer, find, make_recipe, trainer_of
from anon_tune.methods.ted_spad.builder import corner_views, draw_windows, triplet
from anon_tune.recipe import Recipe
from anon_tune.training import Trainer

A, P, N = (torch.tensor([at]) for at in ((1.0, 0.0), (0.8, 0.6), (0.0, 1.0)))


@pytest.mark.parametrize(
    ("embeddings", "loss"),
    [((A, P, N), 0.218242), ((A, A, N), 0.0), ((A, A, A), 1.0), ((A, N, P), math.sqrt(2) - math.sqrt(0.4) + 1)],
)
def test_the_triplet_loss_by_hand(embeddings: tuple[Tensor, Tensor, Tensor], loss: float) -> None:
    assert triplet(*embeddings, 1.0).item() == pytest.approx(loss, abs=1e-5)


def test_no_gradient_once_the_other_window_is_far_enough() -> None:
    views = [view.clone().requires_grad_() for view in (A, 0.9 * A, -A)]
    triplet(views[0], views[1], views[2], 1.0).backward()
    assert all(view.grad is not None and not view.grad.any() for view in views)


@pytest.mark.parametrize(("num_frames", "window", "gap"), [(8, 4, 0), (16, 4, 3), (9, 2, 5), (2, 1, 0)])
def test_windows_share_no_frame_and_every_pair_is_drawn(num_frames: int, window: int, gap: int) -> None:
    first, second = draw_windows(num_frames, window, gap, 2000, seed=1)
    assert (first - second).abs().min() >= window + gap
    assert min(first.min(), second.min()) == 0
    assert max(first.max(), second.max()) == num_frames - window
    pairs = set(zip(first.tolist(), second.tolist(), strict=True))
    free = num_frames - 2 * window - gap + 1
    assert len(pairs) == free * (free + 1)  # two orders of the pairs that have room
    again, _ = draw_windows(num_frames, window, gap, 2000, seed=1)
    assert torch.equal(first, again)


def test_a_view_keeps_the_corner_and_is_larger_in_the_frame() -> None:
    ramp = torch.arange(64.0).add(0.5).expand(3, 1, 3, 64, 64) / 64  # the value is the place in the row
    views = corner_views(ramp, 0.6, seed=3)
    shares = views[:, 0, 0, 10, 32] / ramp[0, 0, 0, 10, 32]
    assert ((shares >= 0.6) & (shares <= 1)).all() and len(set(shares.tolist())) == 3
    expected = (ramp * shares.view(-1, 1, 1, 1, 1)).clamp(min=ramp.min())
    torch.testing.assert_close(views, expected, rtol=0, atol=1e-5)


def test_a_clip_without_room_for_two_windows_is_refused() -> None:
    check = find("ted-spad").spec.check_clips
    assert check is not None
    check(make_recipe({"method": "ted-spad"}), 2, "x.toml")
    recipe = make_recipe({"method": "ted-spad", "ted-spad.window": 4, "ted-spad.gap": 1})
    check(recipe, 9, "x.toml")
    with pytest.raises(RecipeError, match=r"^x\.toml: the method 'ted-spad' needs clips of at least 9 frames, .*got 8"):
        check(recipe, 8, "x.toml")
    with pytest.raises(RecipeError, match=r"at least 2 frames, .*got 1"):
        check(make_recipe({"method": "ted-spad"}), 1, "x.toml")


def played(recipe: Recipe, clips: Clips) -> Trainer:
    sizes = len(clips.actions), len(clips.attributes)
    trainer = trainer_of(recipe)(
        recipe, partial(build_anonymizer, recipe), clips.split("train"), *sizes, torch.device("cpu")
    )
    assert isinstance(trainer, Trainer)
    return trainer


def test_without_its_weight_it_is_spact_and_with_it_f_a_and_f_t_learn_something_else(
    avatars: Clips, tiny_recipe: Callable[..., Recipe]
) -> None:
    weights, curves = {}, {}
    for name, extra in (("spact", {}), ("ted-spad", {"ted-spad.weight": 0.0}), ("full", {})):
        method = "spact" if name == "spact" else "ted-spad"
        trainer = played(tiny_recipe({"method": method, "privacy.weight": 1.0, **extra}), avatars)
        curves[name] = trainer.train_until(2)
        weights[name] = [
            torch.cat([p.detach().flatten() for p in net.parameters()]) for net in (trainer.anonymizer, trainer.utility)
        ]
    for plain, same, other in zip(*weights.values(), strict=True):
        assert torch.equal(plain, same) and not torch.equal(plain, other)
    assert "distinctness" not in curves["ted-spad"][0].terms
    assert 0 < curves["full"][0].terms["distinctness"] < 3


def test_the_head_learns_in_move_2_only(avatars: Clips, tiny_recipe: Callable[..., Recipe]) -> None:
    trainer = played(tiny_recipe({"method": "ted-spad"}), avatars)
    before = [p.clone() for p in trainer.head.parameters()]
    trainer.move_anonymizer(0)
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.head.parameters(), strict=True))
    trainer.move_branches(1)
    assert not any(torch.equal(a, b) for a, b in zip(before, trainer.head.parameters(), strict=True))
