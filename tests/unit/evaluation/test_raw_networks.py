"""Networks that were trained on raw clips are made once and kept; what cannot be used is made again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from anon_tune.clips import Clips
from anon_tune.evaluation import Effort, FixedSteps, Lab, RawNetworks, raw_networks
from anon_tune.recipe import EvaluationRecipe, Recipe

CPU = torch.device("cpu")

pytestmark = pytest.mark.trains


@pytest.fixture
def recipe(tiny_recipe: Callable[..., Recipe]) -> EvaluationRecipe:
    return tiny_recipe({"evaluation.full.attackers": "frame,clip,descriptors"}).evaluation


def same(one: RawNetworks, two: RawNetworks) -> bool:
    a, b = one.pack(), two.pack()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_weights_survive_packing() -> None:
    weights = {("frame", 0): {"head.bias": torch.ones(2)}, ("a:b", 13): {"x": torch.zeros(1)}}
    for networks in (RawNetworks(weights, None), RawNetworks(weights, {"head.bias": torch.full((3,), 2.0)})):
        assert same(RawNetworks.unpack(networks.pack()), networks)
        assert (RawNetworks.unpack(networks.pack()).classifier is None) == (networks.classifier is None)


def test_they_are_made_once_and_then_read(avatars: Clips, recipe: EvaluationRecipe, tmp_path: Path) -> None:
    made = raw_networks(avatars, recipe, CPU, str(tmp_path / "kept"))
    assert made.classifier
    assert set(made.attackers) == {("frame", 0), ("clip", 0)}  # one has no network
    (file,) = (tmp_path / "kept").iterdir()
    before = file.stat().st_mtime_ns
    assert same(raw_networks(avatars, recipe, CPU, str(tmp_path / "kept")), made)
    assert file.stat().st_mtime_ns == before


@pytest.mark.parametrize("damage", ["torn", "changed", "empty"])
def test_a_file_that_cannot_be_used_is_made_again(
    avatars: Clips, recipe: EvaluationRecipe, tmp_path: Path, damage: str
) -> None:
    made = raw_networks(avatars, recipe, CPU, str(tmp_path))
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    hurt = {"torn": whole[: len(whole) // 2], "changed": whole[:-1] + bytes([whole[-1] ^ 1]), "empty": b""}[damage]
    file.write_bytes(hurt)
    assert same(raw_networks(avatars, recipe, CPU, str(tmp_path)), made)
    assert file.read_bytes() == whole


def test_another_seed_has_attackers_of_its_own(avatars: Clips, recipe: EvaluationRecipe, tmp_path: Path) -> None:
    one = raw_networks(avatars, recipe, CPU, str(tmp_path))
    other = raw_networks(avatars, recipe.model_copy(update={"seed": 1}), CPU, str(tmp_path))
    assert len(list(tmp_path.iterdir())) == 2
    assert set(one.attackers) != set(other.attackers)


def test_a_classifier_goes_on_from_raw_trained_weights(avatars: Clips, recipe: EvaluationRecipe) -> None:
    splits = {name: avatars.split(name) for name in ("train", "val")}
    lab = Lab(splits, replace(Effort.of_study(recipe, full=True), classify=FixedSteps(2), lr=1e-9), CPU)
    start = {name: tensor.detach().cpu() for name, tensor in lab.build_classifier(6).state_dict().items()}
    further, fresh = (lab.classifier(6, weights)[0].state_dict()["head.linear.weight"] for weights in (start, None))
    assert torch.allclose(further, start["head.linear.weight"], atol=1e-6)
    assert not torch.allclose(fresh, start["head.linear.weight"], atol=1e-6)
