from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from anon_tune.errors import DataError, RecipeError
from anon_tune.methods import build_anonymizer
from anon_tune.networks import build_network, check_network, save_weights
from anon_tune.networks.backbones import build_attacker, clip_classifier, load_backbone
from anon_tune.networks.inflated import I3dR50, inflate
from anon_tune.networks.segmentation import Padded
from anon_tune.networks.weights import read_pretrained
from anon_tune.recipe import AnonymizerRecipe, PrivacyRecipe, Recipe, UtilityRecipe
from anon_tune.testing.networks import check_network_spec

UNETPP = AnonymizerRecipe(network="smp:unetplusplus-resnet18")


def test_the_papers_anonymizer_is_the_papers() -> None:
    anonymizer = build_network(UNETPP).eval()
    padded = anonymizer.get_submodule("network")
    assert isinstance(padded, Padded)
    assert padded.multiple == 2**4
    widths = [block[1].get_submodule("conv2.0").out_channels for block in _decoder_column(padded)]  # type: ignore[union-attr]
    assert widths == [256, 128, 64, 32]
    last = [m for m in padded.modules() if isinstance(m, nn.Sigmoid)]
    assert len(last) == 1
    with torch.no_grad():
        out = anonymizer(torch.rand(1, 2, 3, 33, 47))
    assert out.shape == (1, 2, 3, 33, 47)


def _decoder_column(padded: Padded) -> list[tuple[str, nn.Module]]:
    """Return the last block of each level of UNet++, deepest first."""
    blocks = padded.network.get_submodule("decoder.blocks")
    return [(name, blocks.get_submodule(name)) for name in ("x_0_0", "x_0_1", "x_0_2", "x_0_3")]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (5, 33), (32, 32), (1080, 24)])
def test_any_size_is_continued_by_reflection_and_cropped_back(height: int, width: int) -> None:
    class Spy(nn.Module):
        def forward(self, frames: Tensor) -> Tensor:
            self.seen = frames
            return frames

    spy = Spy()
    frames = torch.rand(2, 3, height, width)
    out = Padded(spy, 16, (0.0,) * 3, (1.0,) * 3)(frames)
    assert torch.equal(out, frames)
    assert spy.seen.shape[-2] % 16 == 0
    assert spy.seen.shape[-1] % 16 == 0
    assert spy.seen.shape[-2] - height < 16
    if height == 1080:  # 1080 lines become 1088, and the eight new ones mirror those before the last
        assert torch.equal(spy.seen[..., 1080:, :width], frames[..., 1071:1079, :].flip(-2))
    if (height, width) == (2, 3):  # 0 1 2 1 0 1 2 ...
        assert torch.equal(spy.seen[0, 0, 0, :8], frames[0, 0, 0, [0, 1, 2, 1, 0, 1, 2, 1]])


def test_batch_statistics_are_weights_and_a_frozen_anonymizer_ignores_the_batch() -> None:
    torch.manual_seed(0)
    anonymizer = build_network(UNETPP)
    assert any(name.endswith("running_mean") for name in anonymizer.state_dict())
    clips = torch.rand(2, 2, 3, 16, 16)
    with torch.no_grad():
        anonymizer.train()(clips)
        together = anonymizer.eval()(clips)
        alone = anonymizer(clips[:1])
    torch.testing.assert_close(together[:1], alone)


@pytest.mark.parametrize("name", ["torchvision:r3d_18", "timm:resnet18", "torchvision:mobilenet_v3_small"])
def test_networks_of_libraries_pass_our_suite(name: str) -> None:
    check_network_spec(check_network("utility", name, "x"))


def test_i3d_passes_our_suite_and_shows_a_still_clip_as_its_frame(tmp_path: Path) -> None:
    from torchvision.models import resnet50

    torch.manual_seed(0)
    still = resnet50(weights=None).eval()
    torch.save(still.state_dict(), tmp_path / "resnet50.pth")
    trunk = load_backbone("i3d_r50", str(tmp_path / "resnet50.pth")).trunk.eval()
    assert isinstance(trunk, I3dR50)
    frame = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        x = still.maxpool(still.relu(still.bn1(still.conv1(frame))))
        expected = still.layer4(still.layer3(still.layer2(still.layer1(x))))
        maps = trunk(frame.unsqueeze(2).repeat(1, 1, 40, 1, 1))
    torch.testing.assert_close(maps[:, :, 10], expected, rtol=1e-3, atol=1e-4)


def test_kernels_are_divided_by_the_frames_they_are_repeated_over() -> None:
    kernel = torch.rand(4, 3, 7, 7)
    made = inflate({"conv1.weight": kernel, "other": torch.ones(2)}, {"conv1.weight": torch.zeros(4, 3, 5, 7, 7)})
    torch.testing.assert_close(made["conv1.weight"].sum(dim=2), kernel)
    assert torch.equal(made["other"], torch.ones(2))


@pytest.mark.parametrize("form", ["safetensors", "torch", "nested"])
def test_pretrained_weights_come_from_files_of_the_library(form: str, tmp_path: Path) -> None:
    import timm

    torch.manual_seed(1)
    source = timm.create_model("resnet18", pretrained=False)
    file = tmp_path / "weights.any"
    if form == "safetensors":
        save_weights(source.state_dict(), file)
    else:
        torch.save({"state_dict": source.state_dict()} if form == "nested" else source.state_dict(), file)
    privacy = build_network(PrivacyRecipe(network="timm:resnet18", weights=str(file)), 4)
    assert torch.equal(privacy.trunk.network.conv1.weight, source.conv1.weight)
    assert privacy(torch.rand(2, 3, 32, 32)).shape == (2, 4)
    # An image classifier of the encoder's form is enough for an anonymizer.
    recipe = UNETPP.model_copy(update={"weights": str(file)})
    anonymizer = build_anonymizer(Recipe(anonymizer=recipe))
    assert torch.equal(anonymizer.get_parameter("network.network.encoder.conv1.weight"), source.conv1.weight)
    with pytest.raises(DataError, match=r"must be .* for this network"):
        build_network(PrivacyRecipe(network="timm:resnet50", weights=str(file)), 4)


def test_an_attacker_on_frames_learns_from_one_clip_alone() -> None:
    network = build_attacker("timm:resnet18", 3, None).train()  # at this size its last map is one pixel
    assert network(torch.rand(1, 2, 3, 24, 32)).shape == (1, 3)


def test_a_pickle_that_is_no_state_dict_is_refused_in_one_line(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pt")
    torch.save({"a": "text"}, tmp_path / "texts.pt")
    torch.save(nn.Linear(2, 2), tmp_path / "module.pt")
    (tmp_path / "half.pt").write_bytes(b"PK\x03\x04 half a file")
    for name in ("list", "texts", "module", "half", "gone"):
        with pytest.raises(DataError, match=rf"{name}\.pt: ") as caught:
            read_pretrained(str(tmp_path / f"{name}.pt"))
        assert "\n" not in str(caught.value)
    (tmp_path / "python.pt").write_bytes(pickle.dumps({"a": [1, 2]}))
    with pytest.raises(DataError, match=r"python\.pt: must be a state dict"):
        read_pretrained(str(tmp_path / "python.pt"))


def test_safetensors_with_a_header_of_any_length_are_told_from_a_pickle(tmp_path: Path) -> None:
    """The first two bytes of a header of 640 bytes are those of a pickle."""
    tensors = {"x": torch.ones(2)}
    for length in range(600):
        save_file(tensors, tmp_path / "x.safetensors", {"note": "a" * length})
        if (tmp_path / "x.safetensors").read_bytes()[:2] == b"\x80\x02":
            break
    else:
        raise AssertionError("no header has this length")
    assert read_pretrained(str(tmp_path / "x.safetensors"))["x"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("privacy", "timm:resnet5", r"unknown network 'timm:resnet5'\. Did you mean 'timm:resnet\w+'\?"),
        ("utility", "torchvision:r3d18", r"Did you mean 'torchvision:r3d_18'\?"),
        ("anonymizer", "smp:unetplus-resnet18", r"Did you mean 'smp:unet(plusplus)?-resnet18'\?"),
        ("anonymizer", "timm:resnet50", r"must be a network for 'anonymizer', and is one for 'utility, privacy'"),
        ("privacy", "torchvision:r3d_18", r"must be a network for 'privacy', and is one for 'utility'"),
        ("utility", "tim:resnet50", r"unknown network 'tim:resnet50'"),
        ("utility", "timm:", r"unknown network 'timm:'"),
    ],
)
def test_a_misspelt_network_is_refused_with_a_near_name(kind: str, name: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        check_network(kind, name, "recipe")  # type: ignore[arg-type]


def test_attackers_and_classifiers_look_at_frames_or_clips() -> None:
    torch.manual_seed(0)
    clips = torch.rand(2, 4, 3, 32, 32)
    frames = build_attacker("timm:resnet18", 3, None).eval()
    with torch.no_grad():
        torch.testing.assert_close(frames(clips), frames(clips.flip(1)), rtol=1e-4, atol=1e-5)  # blind to time
        assert frames.train()(clips).shape == (2, 3)
        video = clip_classifier("torchvision:r3d_18", 5, None).eval()
        assert video(clips).shape == (2, 5)
        assert not torch.allclose(video(clips), video(clips.flip(1)))


def test_transformers_get_frames_of_their_size() -> None:
    backbone = load_backbone("timm:vit_tiny_patch16_224", None)
    assert backbone.mean == (0.5, 0.5, 0.5)
    with torch.no_grad():
        assert backbone.trunk(torch.rand(1, 3, 48, 64)).shape == (1, 192, 1, 1)


def test_names_alone_load_no_library() -> None:
    code = (
        "import sys, anon_tune.networks.table, anon_tune.attackers, anon_tune.search\n"
        "print([m for m in ('torch', 'timm', 'segmentation_models_pytorch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_fresh_utility_networks_of_two_names_are_one(tmp_path: Path) -> None:
    one = build_network(UtilityRecipe(network="r3d_18"), 3)
    two = build_network(UtilityRecipe(network="torchvision:r3d_18"), 3)
    two.load_state_dict(one.state_dict())
    clips = torch.rand(1, 4, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(one.eval()(clips), two.eval()(clips))
