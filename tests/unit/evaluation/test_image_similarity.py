from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from anon_tune.evaluation.image_similarity import psnr, ssim


def plain_ssim(one: np.ndarray, two: np.ndarray) -> float:
    """Structural similarity of two grey frames (H,W), window by window as the paper has it."""
    at = np.arange(11) - 5
    side = np.exp(-(at**2) / (2 * 1.5**2))
    window = np.outer(side, side) / side.sum() ** 2
    values = []
    for row in range(one.shape[0] - 10):
        for column in range(one.shape[1] - 10):
            x, y = (frame[row : row + 11, column : column + 11] for frame in (one, two))
            mx, my = (window * x).sum(), (window * y).sum()
            vx, vy = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum()
            cov = (window * (x - mx) * (y - my)).sum()
            c1, c2 = 0.01**2, 0.03**2
            values.append((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    return float(np.mean(values))


def frames(seed: int, height: int = 14, width: int = 13) -> Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(seed))


def test_ssim_is_its_definition() -> None:
    one = frames(0)
    two = (one + 0.3 * frames(1)) / 1.3
    expected = [
        np.mean([plain_ssim(a.double().numpy(), b.double().numpy()) for a, b in zip(x, y, strict=True)])
        for x, y in zip(one, two, strict=True)
    ]
    np.testing.assert_allclose(ssim(one, two).numpy(), expected, rtol=0, atol=2e-5)


def test_flat_frames_by_hand() -> None:
    dark, bright = (torch.full((1, 3, 12, 12), level) for level in (0.2, 0.6))
    expected = (2 * 0.12 + 1e-4) / (0.04 + 0.36 + 1e-4)
    assert float(ssim(dark, bright)) == pytest.approx(expected, abs=1e-4)
    assert float(psnr(dark, bright)) == pytest.approx(-20 * math.log10(0.4), abs=1e-4)


def test_equal_frames_are_as_alike_as_can_be_and_order_does_not_matter() -> None:
    one, two = frames(0), frames(1)
    torch.testing.assert_close(ssim(one, one), torch.ones(2))
    assert psnr(one, one).tolist() == pytest.approx([20 * math.log10(255) + 10 * math.log10(12)] * 2, abs=1e-4)
    torch.testing.assert_close(ssim(one, two), ssim(two, one))
    assert (ssim(one, two) < 0.2).all()


def test_a_frame_smaller_than_the_window_has_a_smaller_window() -> None:
    one = frames(0, 7, 9)
    torch.testing.assert_close(ssim(one, one), torch.ones(2))
    assert (ssim(one, 1 - one) < 0).all()
