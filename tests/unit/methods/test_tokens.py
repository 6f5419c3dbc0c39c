"""Tokens: which tubelets are kept, that they are copied, the losses, and video in windows."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from anon_tune.clips import Clips
from anon_tune.export.stream import FrameStream
from anon_tune.methods import attackers_of, build_anonymizer, make_recipe, trainer_of
from anon_tune.methods.tokens.network import TokenDropper
from anon_tune.methods.tokens.selection import attention_score, choose, num_kept, ratio_loss
from anon_tune.recipe import Recipe
from anon_tune.training import Trainer

SMALL = {"tokens.tubelet_side": 4, "tokens.width": 24}


def built(**fields: Any) -> TokenDropper:
    torch.manual_seed(0)
    params = {"method": "tokens", **SMALL, **{f"tokens.{name}": value for name, value in fields.items()}}
    anonymizer = build_anonymizer(make_recipe(params)).eval().requires_grad_(False)
    assert isinstance(anonymizer, TokenDropper)
    return anonymizer


def clips(*shape: int) -> Tensor:
    return 0.1 + 0.9 * torch.rand(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def tubelets(changed: Tensor) -> Tensor:
    """Return what each tubelet of 2x4x4 pixels shows, (B,N,pixels)."""
    cut = changed.unflatten(4, (-1, 4)).unflatten(3, (-1, 4)).unflatten(1, (-1, 2))
    return cut.permute(0, 1, 4, 6, 2, 3, 5, 7).flatten(4).flatten(1, 3)


def test_the_score_by_hand() -> None:
    utility = torch.tensor([[0.4, 0.3, 0.2, 0.1]])
    scores = attention_score(utility, utility.flip(1), 1.0)
    torch.testing.assert_close(scores, torch.tensor([[1.2, 0.4, -0.4, -1.2]]))
    kept = choose(scores.unsqueeze(1), torch.ones(1, 1, 4), 0.5, of_slices=False, temperature=1.0)
    assert kept.flatten().tolist() == [1, 1, 0, 0]


def test_the_ratio_loss_by_hand() -> None:
    bits = torch.tensor([[1.0] * 6 + [0.0] * 4])
    assert ratio_loss([bits], [0.7]).item() == pytest.approx(0.01)
    assert ratio_loss([bits, bits], [0.7, 0.6]).item() == pytest.approx(0.005)


def test_the_number_kept_is_the_share_rounded_up() -> None:
    assert [num_kept(*of) for of in ((10, 0.7), (384, 0.9), (346, 0.9), (312, 0.9), (3, 0.05))] == [7, 346, 312, 281, 1]


def test_the_gradient_is_largest_at_the_border_and_a_dropped_tubelet_stays_dropped() -> None:
    scores = torch.tensor([[[3.0, 1.0, 0.5, -4.0]]], requires_grad=True)
    kept = choose(scores, torch.ones(1, 1, 4), 0.5, of_slices=False, temperature=1.0)
    (kept * torch.tensor([1.0, 10, 100, 1000])).sum().backward()
    slope = torch.sigmoid(scores.detach() - 0.75)
    expected = slope * (1 - slope) * torch.tensor([1.0, 10, 100, 1000])
    torch.testing.assert_close(scores.grad, expected)
    again = choose(scores, torch.tensor([[[0.0, 1, 1, 1]]]), 0.25, of_slices=False, temperature=1.0)
    assert again.flatten().tolist() == [0, 1, 0, 0]


def test_a_share_is_that_of_the_clip_or_that_of_every_slice() -> None:
    scores = torch.tensor([[[4.0, 3.0], [2.0, 1.0]]])
    of_clip, of_slices = (choose(scores, torch.ones(1, 2, 2), 0.5, one, temperature=1.0) for one in (False, True))
    assert of_clip.tolist() == [[[1, 1], [0, 0]]]
    assert of_slices.tolist() == [[[1, 0], [1, 0]]]


@pytest.mark.parametrize("score", ["attention", "predictor"])
@pytest.mark.parametrize("stages", [1, 3])
@pytest.mark.parametrize("quota", ["clip", "slice"])
def test_the_share_is_kept_exactly_and_copied_bit_by_bit(score: str, stages: int, quota: str) -> None:
    raw = clips(2, 8, 3, 16, 12)
    changed = built(score=score, stages=stages, quota=quota, keep=0.5)(raw)
    same = (tubelets(changed) == tubelets(raw)).all(dim=-1)
    black = (tubelets(changed) == 0).all(dim=-1)
    assert (same ^ black).all()
    counts = same.unflatten(1, (4, -1)).sum(dim=2)
    assert counts.sum(dim=1).tolist() == [24, 24]
    assert quota == "clip" or (counts == 6).all()


@pytest.mark.parametrize("size", [(8, 16, 16), (5, 9, 14)])
def test_with_all_kept_it_is_the_identity(size: tuple[int, int, int]) -> None:
    raw = clips(1, size[0], 3, *size[1:])
    assert torch.equal(built(keep=1.0)(raw), raw)


def test_the_mean_colour_is_that_of_what_is_kept() -> None:
    raw = clips(1, 4, 3, 8, 8)
    changed = built(keep=0.5, fill="mean")(raw)
    same = (tubelets(changed) == tubelets(raw)).all(dim=-1)[0]
    shown = tubelets(raw)[0, same].unflatten(1, (2, 3, 16)).mean(dim=(0, 1, 3))
    filled = tubelets(changed)[0, ~same].unflatten(1, (2, 3, 16))
    torch.testing.assert_close(filled, shown.view(1, 1, 3, 1).expand_as(filled))


def played(recipe: Recipe, store: Clips) -> Trainer:
    sizes = len(store.actions), len(store.attributes)
    build = partial(build_anonymizer, recipe)
    trainer = trainer_of(recipe)(recipe, build, store.split("train"), *sizes, torch.device("cpu"))
    assert isinstance(trainer, Trainer)
    return trainer


@pytest.mark.parametrize(("score", "term"), [("attention", "tokens"), ("predictor", "ratio")])
def test_the_game_trains_it_with_its_own_term(score: str, term: str, avatars: Clips) -> None:
    small = {"training.num_steps": 2, "training.batch_clips": 4, "training.warmup_steps": 1}
    recipe = make_recipe({"method": "tokens", "tokens.score": score, **SMALL, **small})
    trainer = played(recipe, avatars)
    before = [p.clone() for p in trainer.anonymizer.parameters()]
    curve = trainer.train_until(1)
    assert curve[0].terms[term] > 0
    assert not any(torch.equal(a, b) for a, b in zip(before, trainer.anonymizer.parameters(), strict=True))
    assert trainer.anonymizer.clip_frames == 4


def test_a_video_gets_what_was_measured_and_its_size_changes_the_copy_alone() -> None:
    anonymizer = built()
    anonymizer.trained_on.copy_(torch.tensor([4, 16, 20]))
    video = (clips(10, 3, 16, 20) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    stream = FrameStream(anonymizer, 16, 20, torch.device("cpu"))
    assert stream.chunk == 4
    out = torch.cat([stream(part) for part in video.split(stream.chunk)] + [stream.finish()])
    measured = anonymizer(video.permute(0, 3, 1, 2)[:4] / 255)
    assert torch.equal(out[:4], (measured * 255).round().to(torch.uint8).permute(0, 2, 3, 1))
    large = (video.permute(0, 3, 1, 2)[:4] / 255).repeat_interleave(3, -1).repeat_interleave(3, -2)
    shown = anonymizer(large)
    torch.testing.assert_close(shown[..., 1::3, 1::3], measured, rtol=0, atol=1e-6)
    assert ((shown == large) | (shown == 0)).all()


def test_the_mask_is_given_to_the_attacker_that_sees_nothing_else() -> None:
    anonymizer = built(keep=0.25)
    recipe = make_recipe({"method": "tokens", **SMALL})
    names, inputs = attackers_of(recipe)
    assert names == ("token-mask",)
    assert inputs is not None
    raw = clips(2, 8, 3, 16, 12)
    mask = inputs(anonymizer, raw)["mask"]
    assert mask.shape == (2, 4, 4, 3)
    kept = (tubelets(anonymizer(raw)) == tubelets(raw)).all(dim=-1)
    assert torch.equal(mask.flatten(1).bool(), kept)
