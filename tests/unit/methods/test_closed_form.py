"""Closed-form anonymizers against their definitions, computed in another way."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from anon_tune.methods import build_anonymizer, specs
from anon_tune.networks import Anonymizer
from anon_tune.recipe import Recipe


def build(method: str) -> Anonymizer:
    return build_anonymizer(Recipe(method=method))


def clips(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("name", [spec.name for spec in specs() if not spec.is_trained and spec.name != "external"])
def test_nothing_is_learned(name: str) -> None:
    anonymizer = build(name)
    assert not anonymizer.state_dict()
    assert not list(anonymizer.parameters())


@pytest.mark.parametrize(("sigma", "height", "width"), [(1.5, 17, 23), (0.25, 4, 4), (100, 3, 5)])
def test_blur_is_the_gaussian_of_every_channel_of_every_frame(sigma: float, height: int, width: int) -> None:
    raw = clips(2, 3, 3, height, width)
    expected = gaussian_filter(raw.double().numpy(), (0, 0, 0, sigma, sigma), mode="nearest", truncate=4.0)
    torch.testing.assert_close(build(f"blur:{sigma}")(raw).double(), torch.from_numpy(expected), rtol=0, atol=2e-6)


@pytest.mark.parametrize(("height", "width", "size"), [(8, 8, 4), (9, 14, 4), (5, 3, 2), (3, 7, 5), (4, 2, 9)])
def test_a_pixel_has_the_mean_of_its_block(height: int, width: int, size: int) -> None:
    raw = clips(1, 2, 3, height, width)
    out = build(f"pixelate:{size}")(raw)
    for y in range(height):
        for x in range(width):
            top, left = y - y % size, x - x % size
            block = raw[..., top : top + size, left : left + size]
            torch.testing.assert_close(out[..., y, x], block.mean(dim=(-2, -1)))


def test_downsampling_keeps_the_means_of_areas_only() -> None:
    raw = clips(1, 2, 3, 6, 8)
    means = raw.unflatten(-1, (4, 2)).unflatten(-3, (3, 2)).mean(dim=(-1, -3))
    same_means = means.repeat_interleave(2, -1).repeat_interleave(2, -2)
    torch.testing.assert_close(build("downsample:2")(raw), build("downsample:2")(same_means))
    # Bilinear, with pixels as areas: between two centres the way is a quarter, then three quarters.
    torch.testing.assert_close(build("downsample:2")(raw)[..., 0, 1], 0.75 * means[..., 0, 0] + 0.25 * means[..., 0, 1])
    assert build("downsample:9")(raw).flatten(-2).std(dim=-1).max() < 1e-6


def test_frame_difference_is_grey_where_nothing_moves() -> None:
    raw = torch.full((1, 4, 3, 5, 6), 0.5)
    raw[:, 2:, :, 2, 3] = 0.6
    out = build("frame-difference:2")(raw)
    assert (out[:, [0, 1, 3]] == 0.5).all()
    torch.testing.assert_close(out[0, 2, :, 2, 3], torch.full((3,), 0.6))
    assert build("frame-difference")(raw)[0, 2, 0, 2, 3] == pytest.approx(0.65)
    assert (build("frame-difference")(raw[:, :1]) == 0.5).all()


def test_the_first_difference_is_the_second_one() -> None:
    out = build("frame-difference:1")(clips(2, 3, 3, 4, 4))
    assert torch.equal(out[:, 0], out[:, 1])
    assert not torch.equal(out[:, 1], out[:, 2])


def test_the_negative_is_undone_by_another() -> None:
    raw = torch.from_numpy(np.arange(256, dtype=np.float32).reshape(1, 1, 1, 16, 16) / 255).expand(1, 2, 3, 16, 16)
    negative = build("negative")
    assert torch.equal(negative(raw)[0, 0, 0, 0, :2], torch.tensor([1.0, 254 / 255]))
    torch.testing.assert_close(negative(negative(raw)), raw, rtol=0, atol=1e-7)
