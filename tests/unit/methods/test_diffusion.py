"""The noise schedule and the sampler have known values, and the denoiser learns what noise is."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from anon_tune.clips import Clips
from anon_tune.methods import build_anonymizer, make_recipe, trainer_of
from anon_tune.methods.diffusion import DiffusionRecipe
from anon_tune.methods.diffusion.anonymizer import Diffusion, clear_frame, ddim, noisy_frame
from anon_tune.methods.diffusion.denoiser import kept_signal
from anon_tune.methods.diffusion.redrawn import redrawn
from anon_tune.methods.diffusion.trainer import DenoiserTrainer
from anon_tune.networks.keyed_numbers import KeyedNumbers


def diffusion(**values: object) -> Diffusion:
    torch.manual_seed(0)
    return Diffusion(DiffusionRecipe.model_validate(values)).eval().requires_grad_(False)


def noise() -> KeyedNumbers:
    return KeyedNumbers(b"key")


def clip(seed: int = 0) -> Tensor:
    return torch.rand(3, 3, 16, 20, generator=torch.Generator().manual_seed(seed))


def test_the_noise_schedule() -> None:
    signal = kept_signal()
    expected = [0.9999, 0.897018, 0.524085, 0.078587, 0.003351, 4.0e-5]
    np.testing.assert_allclose(signal[[0, 99, 249, 499, 749, 999]], expected, atol=1e-6)
    assert int((signal < 0.5).nonzero()[0]) == 259
    strengths = [float(signal[round(f * 1000) - 1].sqrt()) for f in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)]
    np.testing.assert_allclose(strengths, [0.9471, 0.8118, 0.6296, 0.4418, 0.2803, 0.1609], atol=5e-5)


def test_a_step_of_ddim() -> None:
    one, now, then = torch.tensor(1.0).double(), torch.tensor(0.5).double(), torch.tensor(0.8).double()
    noise = torch.tensor(0.3).double()
    clear = clear_frame(one, noise, now)
    assert float(clear) == pytest.approx(1.1142135624)
    assert float(noisy_frame(clear, noise, now)) == pytest.approx(1.0)
    mean, sigma = ddim(clear, noise, now, then, eta=0)
    assert (float(mean), float(sigma)) == pytest.approx((1.1307469854, 0))
    mean, sigma = ddim(clear, noise, now, then, eta=1)
    assert (float(mean), float(sigma)) == pytest.approx((1.0636649460, 0.3872983346))


def test_the_best_guess_of_gaussian_frames() -> None:
    mean, variance, signal, seen = 0.2, 0.25, torch.tensor(0.5).double(), torch.tensor(0.9).double()
    best = mean + signal.sqrt() * variance / (signal * variance + 1 - signal) * (seen - signal.sqrt() * mean)
    assert float(best) == pytest.approx(0.4145584, abs=1e-7)
    assert float(clear_frame(seen, torch.tensor(0.8582338).double(), signal)) == pytest.approx(float(best), abs=1e-7)


def test_strength_zero_keeps_frames_and_strength_one_forgets_them() -> None:
    assert torch.equal(diffusion(strength=0.0)(clip()), clip())
    whole, half = diffusion(strength=1.0), diffusion(strength=0.5)
    one, other = (whole.redraw(clip(seed), noise()) for seed in (0, 1))
    torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
    assert (half.redraw(clip(0), noise()) - half.redraw(clip(1), noise())).abs().max() > 0.01


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_all_frames_of_a_clip_get_the_same_noise(eta: float) -> None:
    still = clip()[:1].expand(4, -1, -1, -1)
    made = diffusion(strength=0.5, eta=eta)(still)
    torch.testing.assert_close(made, made[:1].expand_as(made), atol=1e-6, rtol=0)
    assert torch.equal(diffusion(strength=0.5, eta=eta)(still), made)


def test_the_coarse_frame_leads_the_drawing() -> None:
    made = diffusion(strength=1.0, condition_scale=4)
    assert made.condition(clip() * 2 - 1) is not None
    assert (made.redraw(clip(0), noise()) - made.redraw(clip(1), noise())).abs().max() > 1e-4


def test_guidance_turns_drawing_away_also_where_gradients_are_off() -> None:
    guided = diffusion(strength=0.5, guidance=5.0)
    assert guided.embedder is not None
    with torch.inference_mode():
        far = guided.redraw(clip(), noise())
    plain = diffusion(strength=0.5)
    plain.denoiser.load_state_dict(guided.denoiser.state_dict())
    near = plain.redraw(clip(), noise())

    def alike(drawn: Tensor) -> float:
        seen, raw = (guided.embedder(frames * 2 - 1) for frames in (drawn, clip()))  # type: ignore[misc]
        return float(torch.cosine_similarity(seen, raw).mean())

    assert alike(far) < alike(near)


def test_the_denoiser_comes_near_the_best_one_on_frames_of_one_colour(avatars: Clips) -> None:
    rng = np.random.default_rng(0)
    train = avatars.split("train")
    levels = (rng.normal(0.2, 0.5, (len(train), 1, 1, 1, 3)).clip(-1, 1) + 1) / 2 * 255
    train = replace(train, frames=np.broadcast_to(levels.round().astype(np.uint8), train.frames.shape).copy())
    recipe = make_recipe(
        {"method": "diffusion", "diffusion.frames_per_clip": 1, "training.num_steps": 60, "anonymizer.lr": 5e-3}
    )
    trainer = trainer_of(recipe)(recipe, partial(build_anonymizer, recipe), train, 6, 6, torch.device("cpu"))
    assert isinstance(trainer, DenoiserTrainer)
    losses = [point.terms["denoising"] for point in trainer.train_until(60)]
    # A blind denoiser has a loss of 1; after 250 steps on more frames, this one has 0.3.
    assert np.mean(losses[-10:]) < 0.7


def test_training_learns_the_branch_only_with_guidance(avatars: Clips) -> None:
    for guidance, names in ((0.0, {"denoising"}), (2.0, {"denoising", "privacy"})):
        recipe = make_recipe({"method": "diffusion", "diffusion.guidance": guidance, "training.num_steps": 2})
        train = avatars.split("train")
        build = partial(build_anonymizer, recipe)
        trainer = trainer_of(recipe)(recipe, build, train, 6, len(avatars.attributes), torch.device("cpu"))
        assert {name for point in trainer.train_until(2) for name in point.terms} == names


@pytest.mark.parametrize("changed", [{"training.optimizer": "sgd"}, {"training.jitter": 0.3}])
def test_training_heeds_optimizer_and_jitter(avatars: Clips, changed: dict[str, object]) -> None:
    made = []
    for values in ({}, changed):
        recipe = make_recipe({"method": "diffusion", "training.num_steps": 2, **values})
        trainer = DenoiserTrainer(
            recipe, partial(build_anonymizer, recipe), avatars.split("train"), 6, 6, torch.device("cpu")
        )
        trainer.train_until(2)
        made.append(torch.cat([weights.flatten() for weights in trainer.anonymizer.state_dict().values()]))
    assert not torch.equal(*made)


def test_frames_that_were_drawn_from_the_training_split_are_found() -> None:
    rng = np.random.default_rng(0)
    training, raw = (rng.integers(0, 256, (10, 2, 16, 16, 3), dtype=np.uint8) for _ in range(2))
    copied = redrawn(training[:5], raw[:5], training)
    assert (copied.share, copied.share_closer, copied.to_training) == (1.0, 1.0, 0.0)
    kept = redrawn(raw, raw, training)
    assert (kept.share, kept.share_closer, kept.to_own) == (0.0, 0.0, 0.0)
    assert kept.to_training == kept.raw_to_training > 0.2
