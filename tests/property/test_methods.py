"""Properties of every anonymizer that has a name, on clips of any size."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from anon_tune.methods import build_anonymizer, make_recipe, specs
from anon_tune.networks import Anonymizer
from anon_tune.recipe import Recipe

NAMES = [spec.name for spec in specs() if spec.name != "external"]  # which runs a program of the user's
HOG = [f"{name}:detector=hog" for name in NAMES if name.startswith(("person", "area"))]
METHODS = [*NAMES, "blur:0.3", "downsample:7", "pixelate:3", "area-blur:0.2", "frame-difference:0.5"]


def build(method: str) -> Anonymizer:
    torch.manual_seed(0)
    recipe = make_recipe({"method": method})
    return build_anonymizer(Recipe(method=method, anonymizer=recipe.anonymizer)).eval().requires_grad_(False)


@st.composite
def some_clips(draw: st.DrawFn, smallest: int = 1, largest: int = 19) -> Tensor:
    shape = [draw(st.integers(1, 3)), draw(st.integers(1, 5)), 3]
    shape += [draw(st.integers(smallest, largest)) for _ in range(2)]
    clips = torch.rand(shape, generator=torch.Generator().manual_seed(draw(st.integers(0, 99))))
    return (clips * 255).round() / 255 if draw(st.booleans()) else clips.round()


def check(method: str, clips: Tensor) -> None:
    anonymizer = build(method)
    before = clips.clone()
    out = anonymizer(clips)
    assert torch.equal(clips, before)
    assert out.shape == clips.shape
    assert out.dtype == clips.dtype
    assert out.min() >= 0  # also false for NaN
    assert out.max() <= 1
    assert torch.equal(build(method)(clips), out)
    for clip, expected in zip(clips, out, strict=True):
        # A batch is added up in another order than a clip; a level of a file is 4e-3.
        torch.testing.assert_close(anonymizer(clip), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=12)
@given(clips=some_clips())
def test_clips_of_any_size_come_out_as_clips_and_do_not_touch_each_other(method: str, clips: Tensor) -> None:
    check(method, clips)


@pytest.mark.parametrize("method", HOG)
@settings(max_examples=2)
@given(clips=some_clips(smallest=12))
def test_the_slow_detector_keeps_the_same_rules(method: str, clips: Tensor) -> None:
    check(method, clips[:2, :2])


@settings(max_examples=40)
@given(clips=some_clips(), sigma=st.floats(0.1, 30.0), level=st.integers(0, 255))
def test_blur_keeps_a_constant_and_never_leaves_the_range_of_a_frame(clips: Tensor, sigma: float, level: int) -> None:
    blur = build(f"blur:{sigma}")
    grey = torch.full_like(clips, level / 255)
    torch.testing.assert_close(blur(grey), grey, rtol=0, atol=2e-6)
    out = blur(clips).flatten(3)
    assert (out.amax(3) <= clips.flatten(3).amax(3) + 2e-6).all()
    assert (out.amin(3) >= clips.flatten(3).amin(3) - 2e-6).all()


@settings(max_examples=40)
@given(clips=some_clips(), size=st.integers(2, 30))
def test_pixelation_is_constant_on_blocks_and_done_once_is_done(clips: Tensor, size: int) -> None:
    pixelate = build(f"pixelate:{size}")
    out = pixelate(clips.double())
    for axis in (-2, -1):
        steps = out.diff(dim=axis).abs().amax(dim=tuple(d for d in range(5) if d != axis % 5))
        jumps = steps.nonzero().flatten() + 1
        assert (jumps % size == 0).all()
    torch.testing.assert_close(pixelate(out), out, rtol=0, atol=1e-12)
    torch.testing.assert_close(out.mean(), clips.double().mean())


@settings(max_examples=40)
@given(clips=some_clips())
def test_two_negatives_are_the_identity(clips: Tensor) -> None:
    negative = build("negative")
    torch.testing.assert_close(negative(negative(clips)), clips, rtol=0, atol=1e-7)
    assert torch.equal(negative(clips) > 0.5, clips < 0.5)
