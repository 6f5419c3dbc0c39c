from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from anon_tune.errors import RecipeError
from anon_tune.networks import NETWORKS, NetworkSpec, build_network, check_network
from anon_tune.recipe import AnonymizerRecipe, PrivacyRecipe, UtilityRecipe


def test_names_of_recipes_stay() -> None:
    kinds = {name: spec.kinds for name, spec in NETWORKS.ours.items()}
    assert {name for name, served in kinds.items() if "utility" in served} == {"small3d", "r3d_18", "i3d_r50"}
    assert {name for name, served in kinds.items() if "privacy" in served} == {"small2d", "resnet18", "resnet50"}
    assert {"unet_small", "unet"} <= {name for name, served in kinds.items() if "anonymizer" in served}


@pytest.mark.parametrize("name", NETWORKS.ours)
def test_every_network_is_built_by_its_name(name: str) -> None:
    spec = NETWORKS.ours[name]
    torch.manual_seed(0)
    if "anonymizer" in spec.kinds:
        clips = torch.rand(2, 3, 3, 16, 20)
        assert spec.anonymizer is not None
        assert spec.anonymizer(AnonymizerRecipe(network=name))(clips).shape == clips.shape
    if "utility" in spec.kinds:
        assert build_network(UtilityRecipe(network=name), 5)(torch.rand(2, 4, 3, 16, 20)).shape == (2, 5)
    if "privacy" in spec.kinds:
        assert build_network(PrivacyRecipe(network=name), 4).eval()(torch.rand(2, 3, 16, 20)).shape == (2, 4)


def test_an_unknown_name_or_one_of_another_kind_is_one_line() -> None:
    with pytest.raises(RecipeError) as caught:
        check_network("utility", "smal3d", "f.toml")
    assert str(caught.value) == "f.toml: 'utility.network': unknown network 'smal3d'. Did you mean 'small3d'?"
    with pytest.raises(RecipeError) as caught:
        check_network("utility", "resnet18", "f.toml")
    rule = "'utility.network': 'resnet18' must be a network for 'utility', and is one for 'privacy'"
    assert str(caught.value) == f"f.toml: {rule}. Known: i3d_r50, r3d_18, small3d."
    with pytest.raises(RecipeError, match="unknown network 'r3d_19'"):
        build_network(UtilityRecipe(network="r3d_19"), 2)


def test_a_network_that_serves_for_nothing_is_no_network() -> None:
    with pytest.raises(ValueError, match="a network has a builder for anonymizer, utility or privacy"):
        NetworkSpec("idle", "does nothing", "nobody")


def test_looking_a_name_up_loads_no_torch() -> None:
    code = "import sys; from anon_tune.networks import check_network; check_network('privacy', 'resnet50', 'x')"
    command = [sys.executable, "-c", f"{code}; print('torch' in sys.modules)"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "False"
