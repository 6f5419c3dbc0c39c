from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from anon_tune.clips import Clips, ClipSet
from anon_tune.evaluation.reconstruction import fit_reconstruction, read_reconstruction
from anon_tune.recipe import AuditRecipe

CPU = torch.device("cpu")
EFFORT = AuditRecipe(reconstruction_steps=40)


def negative(clips: ClipSet) -> ClipSet:
    return replace(clips, frames=255 - clips.frames)


def test_what_can_be_undone_is_undone(avatars: Clips) -> None:
    train, test = avatars.split("train"), avatars.split("test")
    network = fit_reconstruction(train, negative(train), EFFORT, CPU)
    seen: list[ClipSet] = []

    def leakage(clips: ClipSet) -> float:
        seen.append(replace(clips, frames=np.array(clips.frames)))
        return 0.25

    found = read_reconstruction(network, test, negative(test), leakage, 7, CPU)
    assert found.leakage == 0.25
    assert found.psnr > found.psnr_before + 8
    assert found.ssim > max(0.3, found.ssim_before)
    # The recognizer is given what the values were read on, with the labels of the clips.
    error = (seen[0].frames.astype(float) - test.frames) / 255
    expected = -10 * np.log10((error**2).mean(axis=(2, 3, 4))).mean()
    assert found.psnr == pytest.approx(expected, abs=1e-3)
    assert (seen[0].private == test.private).all()


def test_frames_of_one_clip_and_one_moment_belong_together(avatars: Clips) -> None:
    train = avatars.split("train")
    same = fit_reconstruction(train, train, EFFORT, CPU)
    mixed = fit_reconstruction(train, replace(train, frames=train.frames[::-1]), EFFORT, CPU)
    one, other = (read_reconstruction(network, train, train, lambda _: 0.0, 16, CPU).psnr for network in (same, mixed))
    assert one > other + 3


def test_training_is_a_pure_function_of_its_seed(avatars: Clips) -> None:
    train = avatars.split("train")
    effort = AuditRecipe(reconstruction_steps=3)

    def weights(disturb: int, seed: int = 0) -> torch.Tensor:
        torch.manual_seed(disturb)
        before = torch.random.get_rng_state()
        network = fit_reconstruction(train, train, effort.model_copy(update={"seed": seed}), CPU)
        assert torch.equal(torch.random.get_rng_state(), before)
        return torch.cat([p.detach().flatten() for p in network.parameters()])

    assert torch.equal(weights(1), weights(2))
    assert not torch.equal(weights(1), weights(1, seed=1))
