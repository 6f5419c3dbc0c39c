"""Attackers that were trained on raw clips are made once and kept; what cannot be used is made again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from anon_tune.clips import Clips
from anon_tune.evaluation import raw_attackers
from anon_tune.evaluation.lab import RawWeights
from anon_tune.evaluation.raw_attackers import pack, unpack
from anon_tune.recipe import EvaluationRecipe, Recipe

CPU = torch.device("cpu")

pytestmark = pytest.mark.trains


@pytest.fixture
def recipe(tiny_recipe: Callable[[], Recipe]) -> EvaluationRecipe:
    return tiny_recipe().evaluation


def same(one: RawWeights, two: RawWeights) -> bool:
    a, b = pack(one), pack(two)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_weights_survive_packing() -> None:
    weights = {("frame", 0): {"head.bias": torch.ones(2)}, ("a:b", 13): {"x": torch.zeros(1)}}
    assert same(unpack(pack(weights)), weights)


def test_they_are_made_once_and_then_read(avatars: Clips, recipe: EvaluationRecipe, tmp_path: Path) -> None:
    made = raw_attackers(avatars, recipe, CPU, str(tmp_path / "kept"))
    assert set(made) == {("frame", 0), ("clip", 0), ("motion", 0), ("pixels", 0)}
    (file,) = (tmp_path / "kept").iterdir()
    before = file.stat().st_mtime_ns
    assert same(raw_attackers(avatars, recipe, CPU, str(tmp_path / "kept")), made)
    assert file.stat().st_mtime_ns == before


@pytest.mark.parametrize("damage", ["torn", "changed", "empty"])
def test_a_file_that_cannot_be_used_is_made_again(
    avatars: Clips, recipe: EvaluationRecipe, tmp_path: Path, damage: str
) -> None:
    made = raw_attackers(avatars, recipe, CPU, str(tmp_path))
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    hurt = {"torn": whole[: len(whole) // 2], "changed": whole[:-1] + bytes([whole[-1] ^ 1]), "empty": b""}[damage]
    file.write_bytes(hurt)
    assert same(raw_attackers(avatars, recipe, CPU, str(tmp_path)), made)
    assert file.read_bytes() == whole


def test_another_seed_has_attackers_of_its_own(avatars: Clips, recipe: EvaluationRecipe, tmp_path: Path) -> None:
    one = raw_attackers(avatars, recipe, CPU, str(tmp_path))
    other = raw_attackers(avatars, recipe.model_copy(update={"seed": 1}), CPU, str(tmp_path))
    assert len(list(tmp_path.iterdir())) == 2
    assert set(one) != set(other)
