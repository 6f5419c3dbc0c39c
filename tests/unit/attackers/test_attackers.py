from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from anon_tune.attackers import ATTACKERS, AttackerSpec, Setting, check_attackers, find, specs_of
from anon_tune.certificate import COMMITTEE
from anon_tune.errors import RecipeError
from anon_tune.recipe import AuditRecipe, EvaluationRecipe


def build(name: str, num_attributes: int) -> nn.Module:
    built = find(name).build(Setting(num_attributes, 4, (4, 16, 20)))
    assert isinstance(built, nn.Module)
    return built


OF_METHODS = ("low-band", "high-band")  # only the method wavelet names them
USUAL = tuple(name for name, spec in ATTACKERS.ours.items() if not spec.inputs and name not in OF_METHODS)
NETWORKS = (*(name for name in USUAL if name != "descriptors"), *OF_METHODS)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("num_frames", [1, 2, 5])
def test_every_attacker_maps_clips_to_logits(name: str, num_frames: int) -> None:
    attacker = build(name, 6)
    clips = torch.rand(2, num_frames, 3, 16, 20)
    for training in (True, False):
        assert attacker.train(training)(clips).shape == (2, 6)


def test_attackers_look_at_different_things() -> None:
    torch.manual_seed(0)
    clips = torch.rand(2, 4, 3, 16, 20)
    brighter = (clips + 0.2).clamp(0, 2)
    backwards = clips.flip(1)
    changes = {}
    for name in NETWORKS:
        attacker = build(name, 3).eval()
        with torch.no_grad():
            changes[name] = [
                not torch.allclose(attacker(other), attacker(clips), atol=1e-5) for other in (brighter, backwards)
            ]
    assert changes == {
        "frame": [True, False],
        "clip": [True, True],
        "motion": [False, True],
        "pixels": [True, False],
        "low-band": [True, False],
        "high-band": [False, False],
    }


def test_a_frame_attacker_trains_on_one_frame_of_a_clip_and_reads_all() -> None:
    attacker = build("frame", 3)
    seen: list[int] = []
    attacker.trunk.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))  # type: ignore[union-attr]
    clips = torch.rand(2, 6, 3, 16, 20)
    attacker.train()(clips)
    attacker.eval()(clips)
    assert seen == [2, 12]


def test_recipes_name_attackers_by_default_that_there_are() -> None:
    study, audit = EvaluationRecipe(), AuditRecipe()
    check_attackers({*study.rung.attackers, *study.full.attackers, *audit.attackers}, "defaults")
    assert audit.attackers == USUAL


def test_an_unknown_attacker_is_one_line() -> None:
    with pytest.raises(RecipeError) as caught:
        check_attackers(("frame", "fram"), "--set")
    assert str(caught.value) == "--set: unknown attacker 'fram'. Did you mean 'frame'?"


def test_those_of_a_method_come_after_those_of_the_recipe_each_once() -> None:
    own = AttackerSpec("own", "looks at a mask", "nobody", lambda setting: nn.Identity())
    assert [spec.name for spec in specs_of(["clip", "frame"], [own, "frame", "pixels"])] == [
        "clip",
        "frame",
        "own",
        "pixels",
    ]


@pytest.mark.parametrize("name", ["", "two words", "a/b", COMMITTEE])
def test_a_name_fits_tables_and_files(name: str) -> None:
    with pytest.raises(ValueError, match="an attacker's name must be"):
        AttackerSpec(name, "", "", lambda setting: nn.Identity())


def test_naming_attackers_loads_no_torch() -> None:
    code = "import sys; from anon_tune.attackers import find; print(find('clip').summary, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("False")
