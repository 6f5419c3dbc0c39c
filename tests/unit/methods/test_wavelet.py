"""Wavelet bands: the transform by hand, what the networks pass on, thresholds and privacy weights of bands."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from anon_tune.clips import Clips
from anon_tune.methods import build_anonymizer, make_recipe, trainer_of
from anon_tune.methods.wavelet.builder import BandNetworks, weighted_gradient
from anon_tune.networks import FrameAnonymizer
from anon_tune.networks.filters import pixelate
from anon_tune.networks.haar import join, padded, split
from anon_tune.recipe import Recipe
from anon_tune.training import Trainer


def frames(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def test_the_transform_by_hand() -> None:
    low, details = split(torch.tensor([[[[1.0, 2.0], [3.0, 5.0]]]]), 1)
    assert (low.item(), details.flatten().tolist()) == (5.5, [-2.5, -1.5, 0.5])
    low, details = split(torch.arange(1.0, 17).view(1, 1, 4, 4), 1)
    assert low.squeeze().tolist() == [[7, 11], [23, 27]]
    assert details.flatten(2).squeeze(0).tolist() == [[-4] * 4, [-1] * 4, [0] * 4]
    assert low.square().sum() + details.square().sum() == 1496


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_bands_join_to_the_frames_and_keep_their_energy_and_range(levels: int) -> None:
    raw = padded(frames(2, 3, 17, 21).round(), levels)  # black and white reach the ends of the ranges
    bands = split(raw, levels)
    torch.testing.assert_close(join(bands), raw, rtol=0, atol=1e-5)
    energy = torch.stack([band.square().sum() for band in bands]).sum()
    assert energy.item() == pytest.approx(raw.square().sum().item(), rel=1e-5)
    assert bands[0].min() >= 0 and bands[0].max() <= 2**levels
    for at, band in enumerate(bands[1:]):
        assert band.abs().max() <= 2 ** (levels - at - 1)
        assert band.shape[1] == 9


class Still(nn.Module):
    """Returns the middle of the range, whatever it sees."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.full_like(x, 0.5)


@pytest.mark.parametrize(("levels", "size"), [(1, (12, 16)), (2, (12, 16)), (1, (7, 9))])
def test_the_low_band_alone_is_pixelation(levels: int, size: tuple[int, int]) -> None:
    network = BandNetworks(levels, 4, compensator=False)
    network.low = nn.Identity()  # type: ignore[assignment]
    network.details = nn.ModuleList(Still() for _ in range(levels))
    raw = frames(2, 3, *size)
    changed = network(raw)
    torch.testing.assert_close(changed, pixelate(raw, 2**levels), rtol=0, atol=1e-6)
    network.details = nn.ModuleList(nn.Identity() for _ in range(levels))
    torch.testing.assert_close(network(raw), raw, rtol=0, atol=1e-6)


def test_a_privacy_weight_of_a_band_is_a_factor_of_its_gradient() -> None:
    raw, slope = frames(2, 3, 3, 8, 10), frames(2, 3, 3, 8, 10) - 0.5
    for low, high in ((1.0, 1.0), (3.0, 0.0), (0.5, 2.0)):
        clips = raw.clone().requires_grad_()
        passed = weighted_gradient(clips, 1, low, high)
        assert torch.equal(passed, raw)
        (passed * slope).sum().backward()
        coarse = pixelate(slope.flatten(0, 1), 2).reshape(slope.shape)
        torch.testing.assert_close(clips.grad, low * coarse + high * (slope - coarse), rtol=0, atol=1e-6)


def played(recipe: Recipe, clips: Clips) -> Trainer:
    sizes = len(clips.actions), len(clips.attributes)
    build = partial(build_anonymizer, recipe)
    trainer = trainer_of(recipe)(recipe, build, clips.split("train"), *sizes, torch.device("cpu"))
    assert isinstance(trainer, Trainer)
    return trainer


def test_penalties_are_the_changes_of_bands_beyond_their_thresholds(
    avatars: Clips, tiny_recipe: Callable[..., Recipe]
) -> None:
    values = {"wavelet.threshold_low": 0.0, "wavelet.threshold_high": 0.0}
    trainer = played(tiny_recipe({"method": "wavelet", "training.batch_clips": 1, **values}), avatars)
    trainer.anonymizer.requires_grad_(False)
    raw = trainer.batches.clips(0).clips
    terms = {term.name: term for term in trainer.hooks.anonymizer_terms}
    assert [*terms] == ["low_penalty", "high_penalty"]
    move = trainer._move(trainer.batches.clips(0), frames(*raw.shape), lambda: trainer.batches.seen(0, None, raw, None))  # type: ignore[arg-type]
    low, high = (float(terms[name].value(move)) for name in terms)  # type: ignore[arg-type]
    mean_square = (move.changed - raw).square().mean().item()
    assert (low**2 + 3 * high**2) / 4 == pytest.approx(mean_square, rel=1e-5)  # Parseval, by pixels
    same = trainer._move(trainer.batches.clips(0), raw, lambda: trainer.batches.seen(0, None, raw, None))  # type: ignore[arg-type]
    assert all(float(term.value(same)) < 1e-5 for term in terms.values())  # type: ignore[arg-type]


def test_privacy_weights_pull_at_the_networks_of_their_bands(
    avatars: Clips, tiny_recipe: Callable[..., Recipe]
) -> None:
    still = {"utility.weight": 0.0, "wavelet.penalty_weight": 0.0, "anonymizer.pretrain_steps": 0}
    for off, kept in (("low", "details"), ("high", "low")):
        trainer = played(tiny_recipe({"method": "wavelet", f"wavelet.privacy_{off}": 0.0, **still}), avatars)
        anonymizer = trainer.anonymizer
        assert isinstance(anonymizer, FrameAnonymizer) and isinstance(anonymizer.network, BandNetworks)
        for network in (anonymizer.network.low, *anonymizer.network.details):
            nn.init.zeros_(network.out.weight)  # type: ignore[arg-type, union-attr]
            nn.init.zeros_(network.out.bias)  # type: ignore[arg-type, union-attr]
        trainer.move_anonymizer(0)  # outputs are grey, far from where they would be clamped
        sums = {
            name: sum(p.grad.abs().sum().item() for p in module.parameters() if p.grad is not None)
            for name, module in anonymizer.network.named_children()
        }
        other = "low" if kept == "details" else "details"
        assert sums[kept] > 0
        assert sums[other] < 1e-3 * sums[kept]


def test_a_compensator_is_part_of_what_is_measured() -> None:
    plain, more = (
        build_anonymizer(make_recipe({"method": "wavelet", "wavelet.compensator": on, "anonymizer.base_channels": 4}))
        for on in (False, True)
    )
    assert more.state_dict().keys() - plain.state_dict().keys()
    assert all("compensator" in key for key in more.state_dict().keys() - plain.state_dict().keys())
