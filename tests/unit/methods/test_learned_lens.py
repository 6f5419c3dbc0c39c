"""The learned lens is nearly clear without aberrations, hides detail with them, and is attacked with its own spot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from anon_tune.attackers import find as find_attacker
from anon_tune.attackers.wiener import restored
from anon_tune.clips import Clips
from anon_tune.evaluation.score import anonymize_split
from anon_tune.methods import attackers_of, build_anonymizer, find, make_recipe
from anon_tune.methods.learned_lens.builder import far_light
from anon_tune.methods.learned_lens.lens import LearnedLens
from anon_tune.testing.attackers import check_attacker


def lens(coefficients: float, **values: float) -> LearnedLens:
    torch.manual_seed(0)
    made = build_anonymizer(
        make_recipe({"method": "learned-lens"} | {f"learned-lens.{k}": v for k, v in values.items()})
    )
    assert isinstance(made, LearnedLens)
    with torch.no_grad():
        made.weights.mul_(coefficients / made.coefficients.abs())
    return made.eval().requires_grad_(False)


def test_coefficients_start_away_from_zero_and_do_not_include_piston_or_tilts() -> None:
    made = build_anonymizer(make_recipe({"method": "learned-lens"}))
    assert isinstance(made, LearnedLens)
    assert made.coefficients.shape == (12,)
    assert 0.25 <= made.coefficients.abs().min() <= made.coefficients.abs().max() <= 0.5
    many = build_anonymizer(make_recipe({"method": "learned-lens", "learned-lens.num_zernike": 36}))
    assert isinstance(many, LearnedLens) and many.coefficients.shape == (33,)


@pytest.mark.parametrize("colours", [1, 3])
def test_a_constant_clip_stays_constant_and_a_clear_lens_is_nearly_the_identity(colours: int) -> None:
    constant = torch.full((1, 2, 3, 20, 24), 0.4)
    torch.testing.assert_close(lens(1.0, num_colours=colours, read_noise=0)(constant), constant, rtol=0, atol=1e-5)
    rough = torch.nn.functional.interpolate(torch.rand(2, 3, 8, 8), (32, 32), mode="bilinear").unsqueeze(0)
    clear, strong = (
        float((lens(a, num_colours=colours, read_noise=0)(rough) - rough).square().mean().sqrt()) for a in (1e-3, 1.0)
    )
    assert clear < 0.015
    assert strong > 0.06


def test_colours_have_spots_of_their_own_and_a_longer_wave_makes_a_larger_one() -> None:
    red, green, blue = lens(0.001).spots()
    assert red.max() < green.max() < blue.max()
    one = lens(0.5, num_colours=1).spots()
    assert torch.equal(one[0], one[2])


def test_noise_is_of_the_sensor_and_another_one_for_every_clip() -> None:
    made = lens(0.5, read_noise=0.05)
    clips = 0.3 + 0.4 * torch.rand(2, 3, 3, 24, 24)
    quiet = lens(0.5, read_noise=0)(clips)
    noise = made(clips) - quiet
    assert float(noise.std()) == pytest.approx(0.05, rel=0.05)
    correlation = np.corrcoef(noise.flatten(0, 1).flatten(1).numpy())
    assert np.abs(correlation - np.eye(6)).max() < 0.1
    assert torch.equal(made(clips), made(clips))  # a second release adds nothing to average over


def test_light_far_from_the_middle() -> None:
    spots = torch.zeros(3, 33, 33)
    spots[:, 16, 16], spots[:, 16, 25] = 0.75, 0.25
    assert float(far_light(spots, 8)) == pytest.approx(0.25)
    assert float(far_light(spots, 9)) == 0


def test_its_own_attackers_get_the_spot_and_restore_detail(avatars: Clips, tmp_path: Path) -> None:
    recipe = make_recipe({"method": "learned-lens", "learned-lens.read_noise": 0.0})
    names, inputs = attackers_of(recipe)
    assert names == find("learned-lens").spec.attackers
    assert all(find_attacker(name).inputs == ("spots", "noise_variance") for name in names)
    raw = avatars.split("val")
    made = lens(0.5, read_noise=0)
    blurred = anonymize_split(made, raw, tmp_path / "frames", 8, torch.device("cpu"), inputs).clips
    assert blurred.inputs["spots"].shape == (len(raw), 3, 33, 33)

    def error(frames: np.ndarray) -> float:
        return float(np.square(frames / 255.0 - np.asarray(raw.frames) / 255.0).mean())

    assert error(restored(blurred).frames) < 0.5 * error(blurred.frames)


@pytest.mark.parametrize("name", ["wiener-motion", "wiener-descriptors"])
def test_wiener_attackers_keep_the_contract(name: str) -> None:
    spots = lens(0.5).spots().numpy()
    check_attacker(
        find_attacker(name),
        lambda frames: {
            "spots": np.repeat(spots[None], len(frames), axis=0),
            "noise_variance": np.full(len(frames), 1e-3, np.float32),
        },
    )
