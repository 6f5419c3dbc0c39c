"""Zernike polynomials and spots have the values of the textbooks, and a known blur can be undone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from anon_tune.networks.optics import OVERSAMPLING, blur, intensity, noll, per_pixel, pupil, wiener, zernike

ORDERS = """0,0 1,1 1,-1 2,0 2,-2 2,2 3,-1 3,1 3,-3 3,3 4,0 4,2 4,-2 4,4 4,-4 5,1 5,-1 5,3 5,-3 5,5 5,-5 6,0"""
POINTS = ((0.0, 0), (0.5, 0), (0.5, 45), (1.0, 0), (1.0, 45), (0.8, 60))
VALUES = {
    2: (0, 1, 0.707107, 2, 1.414214, 0.8),
    3: (0, 0, 0.707107, 0, 1.414214, 1.385641),
    4: (-1.732051, -0.866025, -0.866025, 1.732051, 1.732051, 0.484974),
    5: (0, 0, 0.612372, 0, 2.449490, 1.357645),
    6: (0, 0.612372, 0, 2.449490, 0, -0.783837),
    7: (0, 0, -1.25, 0, 2, -0.156767),
    8: (0, -1.767767, -1.25, 2.828427, 2, -0.090510),
    9: (0, 0, 0.25, 0, 2, 0),
    10: (0, 0.353553, -0.25, 2.828427, -2, -1.448155),
    11: (2.236068, -0.279508, -0.279508, 2.236068, 2.236068, -0.855072),
    22: (-2.645751, 1.157516, 1.157516, 2.645751, 2.645751, -0.966017),
}


def spot(size: int, diameter: float, **coefficients: float) -> Tensor:
    """Return the image of a point with coefficients given by Noll's numbers, as ``a4``."""
    numbers = tuple(int(name[1:]) for name in coefficients) or (1,)
    inside, basis = pupil(numbers, size, diameter)
    values = torch.tensor(list(coefficients.values()) or [0.0], dtype=torch.float64)
    return intensity(torch.einsum("z,zij->ij", values, basis), inside)


def test_orders_follow_noll() -> None:
    assert [",".join(map(str, noll(j))) for j in range(1, 23)] == ORDERS.split()
    assert noll(350) == (25, 25)


@pytest.mark.parametrize("index", VALUES)
def test_values_of_the_polynomials(index: int) -> None:
    radius = torch.tensor([r for r, _ in POINTS], dtype=torch.float64)
    angle = torch.tensor([math.radians(a) for _, a in POINTS], dtype=torch.float64)
    np.testing.assert_allclose(zernike(index, radius, angle), VALUES[index], atol=1e-6)


def test_polynomials_are_orthonormal() -> None:
    nodes, weights = np.polynomial.legendre.leggauss(60)
    radius = torch.from_numpy((nodes + 1) / 2).view(-1, 1)
    angle = (torch.arange(256, dtype=torch.float64) * 2 * math.pi / 256).view(1, -1)
    radius, angle = torch.broadcast_tensors(radius, angle)
    area = torch.from_numpy(weights / 2).view(-1, 1) * radius * 2 / 256
    basis = torch.stack([zernike(j, radius, angle) for j in range(1, 37)]).flatten(1)
    gram = (basis * area.flatten()) @ basis.T
    assert (gram - torch.eye(36)).abs().max() < 1e-12


@pytest.mark.parametrize("a4", [0.3, 0.5, 1.0])
def test_a_spot_adds_up_to_one_and_defocus_dims_its_middle(a4: float) -> None:
    clear, blurred, other = (spot(512, 128, a4=value) for value in (0.0, a4, -a4))
    assert float(blurred.sum()) == pytest.approx(1)
    assert (blurred - other).abs().max() < 1e-12
    strehl = float(blurred[256, 256] / clear[256, 256])
    assert strehl == pytest.approx((math.sin(math.sqrt(3) * a4) / (math.sqrt(3) * a4)) ** 2, abs=2e-3)


def test_a_clear_pupil_makes_an_airy_spot() -> None:
    clear = spot(1024, 128)[512, 512:]
    assert int(clear[5:14].argmin()) + 5 == 10  # the first dark ring, at 1.2197 N / D = 9.76 samples
    inside, _ = pupil((1,), 1024, 128)
    at = torch.arange(1024) - 512
    ring = (at.view(-1, 1).square() + at.view(1, -1).square()).sqrt() <= 1.2197 * 8
    assert float((spot(1024, 128) * ring).sum()) == pytest.approx(0.838, abs=5e-3)
    assert float(inside.sum()) == pytest.approx(math.pi * 64**2, rel=5e-3)


def test_a_clear_pupil_passes_frequencies_as_the_textbook_says() -> None:
    passed = torch.fft.fft2(torch.fft.ifftshift(spot(1024, 128))).abs()[0]
    np.testing.assert_allclose(passed[[32, 64, 96]], [0.6852, 0.3908, 0.1439], atol=2e-3)  # of a cut-off of 128
    assert passed[129:512].max() < 1e-9
    inside, _ = pupil((1,), 256, 64)  # the light that enters comes out (Parseval), and its middle has all phases alike
    light = inside.square().sum() * 256**2
    assert float(spot(256, 64)[128, 128]) == pytest.approx(float(inside.sum() ** 2 / light))


def test_piston_changes_nothing_tilt_moves_the_spot_and_coma_has_a_side() -> None:
    assert (spot(256, 64, a1=1.3) - spot(256, 64)).abs().max() < 1e-15
    row, column = divmod(int(spot(512, 128, a2=2.0).argmax()), 512)
    assert (abs(column - 256), row) == (5, 256)  # a2 2 N / (pi D) = 5.09
    coma = spot(255, 64, a7=1.0)
    assert (coma - spot(255, 64, a7=-1.0).flip((0, 1))).abs().max() < 1e-14
    assert (coma - spot(255, 64, a7=-1.0)).abs().max() > 1e-4


def test_the_gradient_of_a_spot_is_right_and_even_terms_have_none_at_zero() -> None:
    inside, basis = pupil((4, 6, 8), 16, 8)
    weight = torch.rand(16, 16, generator=torch.Generator().manual_seed(0)).double()

    def seen(a: Tensor) -> Tensor:
        return (intensity(torch.einsum("z,zij->ij", a, basis), inside) * weight).sum()

    start = torch.tensor([0.4, -0.3, 0.2], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(seen, (start,))
    zero = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    seen(zero).backward()
    assert zero.grad is not None
    assert zero.grad[:2].abs().max() < 1e-12  # defocus and astigmatism
    assert zero.grad[2].abs() > 1e-4  # coma


def test_a_blur_keeps_constant_frames_and_keeps_a_point_in_its_place() -> None:
    fine = spot(33 * OVERSAMPLING, 80, a4=1.0, a8=0.7).unsqueeze(0)
    kernels = per_pixel(fine, OVERSAMPLING).float().expand(3, -1, -1)
    assert kernels.shape == (3, 33, 33)
    assert float(kernels[0].sum()) == pytest.approx(1)
    torch.testing.assert_close(blur(torch.full((2, 3, 20, 17), 0.3), kernels), torch.full((2, 3, 20, 17), 0.3))
    point = torch.zeros(1, 3, 41, 41)
    point[..., 20, 20] = 1
    torch.testing.assert_close(blur(point, kernels)[0][:, 4:37, 4:37], kernels, atol=1e-6, rtol=0)


def test_without_noise_a_blur_can_be_undone_and_noise_prevents_it() -> None:
    rng = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.rand(1, 3, 12, 16, generator=rng), (48, 64), mode="bicubic")
    clear = smooth.clamp(0, 1)
    kernels = per_pixel(spot(33 * OVERSAMPLING, 80, a4=1.5).unsqueeze(0), OVERSAMPLING).float().expand(3, -1, -1)
    blurred = blur(clear, kernels)

    def quality(sigma: float) -> tuple[float, float]:
        noisy = blurred + sigma * torch.randn(clear.shape, generator=rng)
        levels = (noisy.clamp(0, 1) * 255).round() / 255
        best = min(float((wiener(levels, kernels, c) - clear).square().mean()) for c in (1e-5, 1e-4, 1e-3, 1e-2, 0.1))
        return tuple(-10 * math.log10(error) for error in (float((levels - clear).square().mean()), best))  # type: ignore[return-value]

    (seen, restored), (_, with_noise) = quality(0.0), quality(0.05)
    assert restored > seen + 6
    assert with_noise < restored - 5
