from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from anon_tune.errors import AnonTuneError
from anon_tune.networks import build_network, load_weights, save_weights
from anon_tune.networks.utility import Normalize
from anon_tune.networks.weights import read_tensors
from anon_tune.recipe import PrivacyRecipe, UtilityRecipe


@pytest.mark.parametrize("network", ["small3d", "r3d_18"])
def test_an_action_network_maps_clips_to_logits(network: str) -> None:
    utility = build_network(UtilityRecipe.model_validate({"network": network}), num_outputs=5).eval()
    clips = torch.rand(2, 4, 3, 16, 20)
    assert utility(clips).shape == (2, 5)
    assert utility.features(clips).dim() == 5
    assert len(utility.features(clips)) == 2
    assert not torch.allclose(utility(clips), utility(clips.flip(1)))  # it looks at time


def test_the_action_network_sees_channels_and_time_apart() -> None:
    utility = build_network(UtilityRecipe(), num_outputs=2)
    seen: list[Tensor] = []
    utility.trunk.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    clips = torch.rand(2, 4, 3, 8, 9)
    utility(clips)
    assert torch.allclose(seen[0], (clips.transpose(1, 2) - 0.5) / 0.25)


@pytest.mark.parametrize("network", ["small2d", "resnet18", "resnet50"])
def test_a_privacy_network_has_either_head(network: str) -> None:
    frames = torch.rand(2, 3, 32, 40)
    attributes = build_network(PrivacyRecipe.model_validate({"network": network}), num_outputs=6).eval()
    assert attributes(frames).shape == (2, 6)
    recipe = PrivacyRecipe.model_validate({"network": network, "head": "nt_xent"})
    embeddings = build_network(recipe, num_outputs=6).eval()(frames)
    assert embeddings.shape == (2, 128)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(2))


def test_normalizing_is_by_channel() -> None:
    x = torch.rand(2, 4, 3, 5, 6)
    out = Normalize((0.1, 0.2, 0.3), (1.0, 2.0, 4.0))(x)
    for c, (mean, std) in enumerate([(0.1, 1.0), (0.2, 2.0), (0.3, 4.0)]):
        torch.testing.assert_close(out[:, :, c], (x[:, :, c] - mean) / std)


@pytest.mark.parametrize("kind", ["utility", "privacy"])
def test_pretrained_weights_come_with_a_fresh_head(kind: str, tmp_path: Path) -> None:
    def build(weights: str | None, num_outputs: int) -> torch.nn.Module:
        if kind == "utility":
            return build_network(UtilityRecipe(weights=weights), num_outputs)
        return build_network(PrivacyRecipe(weights=weights), num_outputs)

    file = tmp_path / "pretrained.safetensors"
    one = build(None, 3)
    save_weights(one.state_dict(), file)
    before = one.state_dict()
    for name, weights in build(str(file), 7).state_dict().items():
        if name.startswith("head."):
            assert weights.shape != before[name].shape
        else:
            assert torch.equal(weights, before[name])


def test_a_torchvision_file_fits_without_its_classes(tmp_path: Path) -> None:
    from torchvision.models import resnet18

    torch.manual_seed(1)
    net = resnet18(weights=None)
    save_weights(net.state_dict(), tmp_path / "resnet18.safetensors")
    file = str(tmp_path / "resnet18.safetensors")
    privacy = build_network(PrivacyRecipe(network="resnet18", weights=file), num_outputs=4)
    assert torch.equal(privacy.trunk[0].weight, net.conv1.weight)  # type: ignore[index]
    with pytest.raises(AnonTuneError, match=r"must be .* for this network"):
        build_network(PrivacyRecipe(network="resnet50", weights=file), num_outputs=4)


def test_weights_are_saved_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "w.safetensors"
    save_weights({"a": torch.arange(6.0).view(2, 3).T}, file, {"note": "x"})
    tensors, metadata = read_tensors(file)
    assert torch.equal(tensors["a"], torch.arange(6.0).view(2, 3).T)
    assert metadata == {"note": "x"}
    with pytest.raises(AttributeError):
        save_weights({"a": "no tensor"}, file)  # type: ignore[dict-item]
    assert torch.equal(read_tensors(file)[0]["a"], tensors["a"])
    assert [p.name for p in file.parent.iterdir()] == ["w.safetensors"]


def test_loading_nothing_changes_nothing() -> None:
    module = torch.nn.Linear(2, 2)
    before = module.weight.clone()
    load_weights(module, None)
    assert torch.equal(module.weight, before)


@pytest.mark.parametrize("content", [b"", b"\x80\x04K\x01.", b"garbage" * 100])
def test_a_file_that_is_no_safetensors_is_named_in_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.safetensors").write_bytes(content)
    with pytest.raises(AnonTuneError, match=r"bad\.safetensors: is not a readable safetensors file") as caught:
        read_tensors(tmp_path / "bad.safetensors")
    assert "\n" not in str(caught.value)
