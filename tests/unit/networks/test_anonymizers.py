from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from anon_tune.errors import AnonTuneError
from anon_tune.methods import build_anonymizer
from anon_tune.networks import Anonymizer, FrameAnonymizer, build_network, save_weights
from anon_tune.networks.anonymizers import Bottleneck, UNet
from anon_tune.recipe import AnonymizerRecipe, Recipe

SMALL = AnonymizerRecipe(base_channels=4)


class Spy(nn.Module):
    """A network that remembers its input and returns it upside down."""

    def forward(self, frames: Tensor) -> Tensor:
        self.seen = frames
        return frames.flip(-2)


def coded(num_clips: int, num_frames: int, height: int, width: int) -> Tensor:
    """Pixels whose values tell clip, frame, channel and row: (100 b + 10 t + c + h / 100) / 1000."""
    b, t, c, h, w = torch.meshgrid(
        *(torch.arange(n).float() for n in (num_clips, num_frames, 3, height, width)), indexing="ij"
    )
    return (100 * b + 10 * t + c + h / 100 + 0 * w) / 1000


def test_what_the_network_sees_are_frames() -> None:
    spy = Spy()
    clips = coded(2, 4, 5, 7)
    out = FrameAnonymizer(spy)(clips)
    assert spy.seen.shape == (8, 3, 5, 7)
    for at, image in enumerate(spy.seen):
        b, t = divmod(at, 4)
        for c in range(3):
            for h in range(5):
                expected = torch.tensor((100 * b + 10 * t + c + h / 100) / 1000)
                torch.testing.assert_close(image[c, h], expected.expand(7))
    assert torch.equal(out, clips.flip(-2))


def test_one_clip_without_a_batch_is_seen_the_same() -> None:
    spy = Spy()
    clip = coded(1, 4, 5, 7)[0]
    out = FrameAnonymizer(spy)(clip)
    assert torch.equal(spy.seen, clip)
    assert torch.equal(out, clip.flip(-2))


@pytest.mark.parametrize("method", ["adversarial", "identity", "black-out"])
def test_a_clip_alone_comes_out_as_in_a_batch(method: str) -> None:
    torch.manual_seed(0)
    anonymizer = build_anonymizer(Recipe(method=method, anonymizer=SMALL))
    clip = torch.rand(4, 3, 9, 14)
    assert torch.equal(anonymizer(clip), anonymizer(clip.unsqueeze(0)).squeeze(0))
    assert anonymizer(clip).shape == clip.shape


def test_anchors_change_nothing_and_everything() -> None:
    clips = torch.rand(2, 3, 3, 4, 5)
    assert torch.equal(build_anonymizer(Recipe(method="identity", anonymizer=SMALL))(clips), clips)
    assert torch.equal(build_anonymizer(Recipe(method="black-out", anonymizer=SMALL))(clips), torch.zeros_like(clips))
    assert not list(build_anonymizer(Recipe(method="identity", anonymizer=SMALL)).parameters())


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 21), st.integers(1, 21), st.sampled_from([1.0, 30.0, 1e4]), st.booleans())
def test_frames_stay_frames(height: int, width: int, scale: float, small: bool) -> None:
    torch.manual_seed(height * 100 + width)
    network = UNet((4, 8), fold=2) if small else UNet((4, 8, 8))
    anonymizer = FrameAnonymizer(network)
    with torch.no_grad():
        for weights in anonymizer.parameters():
            weights.mul_(scale)
        clips = torch.rand(1, 2, 3, height, width)
        out = anonymizer(clips)
    assert out.shape == clips.shape
    assert torch.isfinite(out).all()
    assert out.min() >= 0
    assert out.max() <= 1


def test_no_anonymizer_can_leave_the_range() -> None:
    class Wild(Anonymizer):
        def rewrite(self, clips: Tensor) -> Tensor:
            return clips * 40 - 20

    out = Wild()(torch.rand(2, 2, 3, 4, 4))
    assert (out.min(), out.max()) == (0, 1)


def test_frames_of_a_batch_do_not_touch_each_other() -> None:
    torch.manual_seed(0)
    anonymizer = build_anonymizer(Recipe(method="adversarial", anonymizer=SMALL))
    clips = torch.rand(2, 3, 3, 12, 10)
    changed = clips.clone()
    changed[1, 2] = 0
    before, after = anonymizer(clips), anonymizer(changed)
    torch.testing.assert_close(after[0], before[0])
    torch.testing.assert_close(after[1, :2], before[1, :2])
    assert not torch.allclose(after[1, 2], before[1, 2])


def test_the_large_network_has_its_sources_size() -> None:
    network = build_anonymizer(Recipe(method="adversarial", anonymizer=AnonymizerRecipe(network="unet")))
    assert max(m.out_channels for m in network.modules() if isinstance(m, nn.Conv2d)) == 512
    out = network(torch.rand(1, 1, 3, 17, 20))
    assert out.shape == (1, 1, 3, 17, 20)


def test_training_begins_from_a_file(tmp_path: Path) -> None:
    one = build_anonymizer(Recipe(method="adversarial", anonymizer=SMALL))
    save_weights(one.state_dict(), tmp_path / "start.safetensors")
    recipe = SMALL.model_copy(update={"weights": str(tmp_path / "start.safetensors")})
    two = build_anonymizer(Recipe(method="adversarial", anonymizer=recipe))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))

    with pytest.raises(AnonTuneError, match=r"must be \(8,.* for this network, got \(4,.*Choose a file of this"):
        build_anonymizer(Recipe(method="adversarial", anonymizer=recipe.model_copy(update={"base_channels": 8})))
    save_file({"strange": torch.zeros(1)}, tmp_path / "start.safetensors")
    with pytest.raises(AnonTuneError, match=r"start\.safetensors: '\S+' must be"):
        build_anonymizer(Recipe(method="adversarial", anonymizer=recipe))
    with pytest.raises(AnonTuneError, match=r"none\.safetensors: is not a readable file of weights"):
        build_anonymizer(
            Recipe(
                method="adversarial",
                anonymizer=SMALL.model_copy(update={"weights": str(tmp_path / "none.safetensors")}),
            )
        )


def test_a_bottleneck_leaves_few_grey_levels_in_blocks() -> None:
    frames = torch.rand(2, 3, 5, 7, requires_grad=True)
    narrow = Bottleneck(grey=True, block=2, levels=3).narrow(frames)
    assert narrow.shape == frames.shape
    assert set(narrow.unique().tolist()) <= {0.0, 0.5, 1.0}
    assert torch.equal(narrow[:, 0], narrow[:, 2])
    assert torch.equal(narrow[..., 0:4:2, 0:6:2], narrow[..., 1:4:2, 1:6:2])
    mean = frames[0, :, 2:4, 4:6].mean()
    assert narrow[0, 1, 3, 5].item() == round(mean.item() * 2) / 2
    narrow[0, 1, 3, 5].backward()
    assert frames.grad is not None
    expected = torch.zeros_like(frames)
    expected[0, :, 2:4, 4:6] = 1 / 12
    assert torch.allclose(frames.grad, expected)


def test_a_bottleneck_that_takes_nothing_changes_nothing() -> None:
    frames = torch.rand(2, 3, 5, 7)
    assert Bottleneck().narrow(frames) is frames


@pytest.mark.parametrize("network", ["unet_small", "unet_temporal"])
def test_a_u_net_has_the_bottleneck_of_its_recipe(network: str) -> None:
    recipe = AnonymizerRecipe(network=network, base_channels=4, grey=True, block=3, levels=5)
    clips = torch.rand(1, 3, 3, 12, 15)
    out = build_network(recipe)(clips)
    assert torch.allclose(out * 4, (out * 4).round(), atol=1e-5)
    assert torch.equal(out[:, :, 0], out[:, :, 1])
    assert torch.equal(out[..., ::3, ::3], out[..., 2::3, 2::3])
