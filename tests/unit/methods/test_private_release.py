"""dp-noise and dprp: sensitivities and noise against published values, and a rebuild without noise."""

from __future__ import annotations

import math

import pytest
import torch

from anon_tune.accounting import gaussian_noise_multiplier
from anon_tune.methods import build_anonymizer, release_of
from anon_tune.methods.dp_noise.network import DpNoise
from anon_tune.methods.dprp.network import MOST_BLOCKS, Dprp, fitting_block, rebuild
from anon_tune.methods.secret_key import private_noise
from anon_tune.recipe import Recipe


@pytest.mark.parametrize(("unit", "block", "expected"), [("clip", 1, 208), ("frame", 1, 52), ("patch", 1, 0.94)])
def test_noise_of_a_unit(unit: str, block: int, expected: float) -> None:
    noise = DpNoise(8.0, unit, block, 1e-4)
    assert noise.deviation(16, 48, 64) == pytest.approx(expected, rel=6e-3)
    assert DpNoise(8.0, "frame", 1, 1e-4).deviation(1, 16, 16) == pytest.approx(15, rel=6e-3)  # one patch of 16 x 16


def test_one_block_of_pixels_is_a_patch() -> None:
    whole = DpNoise(8.0, "frame", 16, 1e-4).deviation(16, 48, 64)
    assert whole == pytest.approx(DpNoise(8.0, "patch", 16, 1e-4).deviation(16, 48, 64) * 12**0.5)
    assert DpNoise(8.0, "patch", 16, 1e-4).deviation(16, 48, 64) == DpNoise(8.0, "patch", 1, 1e-4).deviation(1, 8, 8)


def test_the_noise_has_the_stated_deviation_and_is_constant_in_a_block() -> None:
    noise = DpNoise(1000.0, "patch", 2, 0.1)
    clips = torch.full((1, 8, 3, 64, 64), 0.5)
    added = noise.rewrite(clips) - 0.5
    assert float(added.std()) == pytest.approx(noise.deviation(8, 64, 64), rel=0.03)
    assert torch.equal(added[..., ::2, ::2], added[..., 1::2, 1::2])


def test_noise_is_not_averaged_out_by_asking_again_and_differs_between_clips() -> None:
    for method in ("dp-noise:8", "dprp:8"):
        anonymizer = build_anonymizer(Recipe(method=method))
        clips = torch.rand(2, 4, 3, 16, 16)
        assert torch.equal(anonymizer(clips), anonymizer(clips))
        nearly = clips.clone()
        nearly[0, 0, 0, 0, 0] = 1 - nearly[0, 0, 0, 0, 0]
        assert not torch.allclose(anonymizer.rewrite(nearly)[0, 1], anonymizer.rewrite(clips)[0, 1])


def test_rows_of_low_rank_come_back_without_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(12, 4, generator=generator, dtype=torch.float64) @ torch.randn(
        4, 40, generator=generator, dtype=torch.float64
    )
    projection = torch.randn(40, 16, generator=generator, dtype=torch.float64) / 4
    zero_rows, zero_square = torch.zeros(12, 16, dtype=torch.float64), torch.zeros(40, 40, dtype=torch.float64)
    assert torch.allclose(rebuild(rows, projection, zero_rows, zero_square, 4), rows, atol=1e-9)


@pytest.mark.parametrize(("projections", "expected"), [(16, 1.7295), (64, 1.3561), (256, 1.1753)])
def test_the_norm_of_a_projection(projections: int, expected: float) -> None:
    made = Dprp(8.0, projections, 4, 4, 1e-4)  # half of delta, 5e-5, is for the projection
    assert made.row_deviation / (made.square_deviation / 2**0.5) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(
    ("projections", "eps", "expected"), [(16, 2.0, 46), (16, 8.0, 14), (64, 2.0, 73), (64, 8.0, 22)]
)
def test_noise_on_projected_rows_of_norm_1(projections: int, eps: float, expected: float) -> None:
    # The published ratios are for rows with entries of any sign, which may change by 2; those of frames change by 1.
    # They also give half of delta to each of both releases, and so leave nothing of it for the norm of the projection.
    # We give a quarter to each.
    made = Dprp(eps, projections, 4, 4, 1e-4)
    as_published = gaussian_noise_multiplier(eps / 2, 1e-4 / 2) / gaussian_noise_multiplier(eps / 2, 1e-4 / 4)
    assert 2 * made.row_deviation * projections**0.5 * as_published == pytest.approx(expected, abs=0.5)


@pytest.mark.parametrize(("projections", "expected", "draws"), [(16, 0.57, 900), (64, 0.15, 225), (256, 0.03, 225)])
def test_projections_keep_the_products_of_rows(projections: int, expected: float, draws: int) -> None:
    # Eight rows at right angles: the squared error of their products has a mean of (8 + 1) / k of the products squared.
    # What is drawn has no seed: with so many draws, the limits are five standard errors of the mean away.
    rows, errors = torch.eye(8, 512), []
    for at in range(draws):
        drawn = private_noise(torch.tensor([at / draws]), (512, projections), "dprp projection")
        projected = rows @ drawn / projections**0.5
        errors.append((projected @ projected.T - torch.eye(8)).square().sum() / 8)
    found = float(torch.stack(errors).mean())
    assert found == pytest.approx(9 / projections, rel=0.1)
    assert found == pytest.approx(expected, abs=0.04)


@pytest.mark.parametrize(
    ("method", "unit"),
    [
        ("dp-noise:8", "Unit: one frame,"),
        ("dp-noise:2,unit=patch,block=16", "Unit: one block of 16 x 16 pixels of one frame,"),
        ("dp-noise:2,unit=clip", "Unit: one clip (of a longer video, the frames that are anonymized at once),"),
        ("dprp:0.5,delta=1e-05", "Unit: one frame,"),
    ],
)
def test_a_private_release_says_its_unit(method: str, unit: str) -> None:
    epsilon = method.split(":")[1].split(",", maxsplit=1)[0]
    delta = "1e-05" if "delta" in method else "0.0001"
    said = release_of(method)
    assert said.startswith(f"Differentially private release, epsilon {epsilon} at delta {delta}. {unit} whose content")


def test_other_methods_promise_no_private_release() -> None:
    assert release_of("blur:4") == release_of("adversarial") == release_of("of-nobody") == ""


@pytest.mark.parametrize("height,width", [(32, 32), (24, 32), (480, 640), (1080, 1920)])
def test_blocks_of_dprp_grow_with_the_frame_so_that_memory_does_not(height: int, width: int) -> None:
    side = fitting_block(4, height, width)
    assert math.ceil(height / side) * math.ceil(width / side) <= MOST_BLOCKS
    assert side == 4 or math.ceil(height / (side - 1)) * math.ceil(width / (side - 1)) > MOST_BLOCKS
