"""Programs do the same as the anonymizer, without this package, or are refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch

from anon_tune.errors import ExportError, UsageError
from anon_tune.export import programs
from anon_tune.export.programs import ProgramFacts, write_program
from anon_tune.methods import build_anonymizer, make_recipe
from anon_tune.networks import Anonymizer
from anon_tune.recipe import AnonymizerRecipe, Recipe

pytestmark = pytest.mark.compiles


def build(name: str) -> Anonymizer:
    network = "bdq" if name == "bdq" else "unet_small"
    torch.manual_seed(0)
    return (
        build_anonymizer(Recipe(method=name, anonymizer=AnonymizerRecipe(network=network, base_channels=4)))
        .eval()
        .requires_grad_(False)
    )


def card(facts: ProgramFacts) -> Mapping[str, Any]:
    return {"shape": facts.shape, "difference": facts.difference}


def run(path: Path, frames: torch.Tensor) -> torch.Tensor:
    if path.suffix == ".pt2":
        changed: torch.Tensor = torch.export.load(path).module()(frames)
        return changed
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(["anonymized"], {"frames": frames.numpy()})[0])


def card_of(path: Path) -> dict[str, Any]:
    if path.suffix == ".pt2":
        files = {"model_card.json": ""}
        torch.export.load(path, extra_files=files)
        return dict(json.loads(files["model_card.json"]))
    (entry,) = onnx.load(path).metadata_props
    assert entry.key == "model_card"
    return dict(json.loads(entry.value))


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("adversarial", ".pt2"), ("adversarial", ".onnx"), ("bdq", ".onnx"), ("blur:2", ".pt2"), ("blur:2", ".onnx")],
)
def test_a_program_takes_any_size_and_length(name: str, suffix: str, tmp_path: Path) -> None:
    anonymizer, path = build(name), tmp_path / f"x{suffix}"
    write_program(anonymizer, torch.rand(4, 3, 32, 32), path, card)
    for shape in ((4, 3, 32, 32), (2, 3, 57, 90), (9, 3, 33, 20)):
        frames = torch.rand(shape)
        assert (run(path, frames) - anonymizer(frames)).abs().max() <= 1e-4
    assert card_of(path)["shape"] is None
    assert 0 <= card_of(path)["difference"] <= 1e-4
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    if suffix == ".onnx":
        sizes = onnx.load(path).graph.input[0].type.tensor_type.shape.dim
        assert [size.dim_param or size.dim_value for size in sizes] == ["T", 3, "H", "W"]


def test_what_is_traced_for_one_size_only_says_which(tmp_path: Path) -> None:
    # ONNX rounds the size of an average otherwise, which the second size that is checked shows.
    anonymizer, frames = build("downsample:2"), torch.rand(4, 3, 32, 36)
    write_program(anonymizer, frames, tmp_path / "x.onnx", card)
    assert card_of(tmp_path / "x.onnx")["shape"] == [4, 32, 36]
    assert (run(tmp_path / "x.onnx", frames) - anonymizer(frames)).abs().max() <= 1e-4


@pytest.mark.parametrize("suffix", [".pt2", ".onnx"])
def test_what_cannot_be_traced_is_refused_in_one_line(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    with pytest.raises(ExportError) as caught:
        write_program(build("area-blur"), torch.rand(4, 3, 20, 24), path, card)
    assert str(caught.value).startswith(f"{path}: no {suffix} program agrees with the anonymizer within 0.0001: ")
    assert str(caught.value).endswith("Export it as .safetensors.")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_program_that_differs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "LARGEST_DIFFERENCE", -1.0)  # nothing is as near as that
    with pytest.raises(ExportError, match=r": a difference of"):
        write_program(build("blur:2"), torch.rand(4, 3, 20, 24), tmp_path / "x.pt2", card)
    assert not list(tmp_path.iterdir())


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)  # as where it is not installed
    with pytest.raises(UsageError) as caught:
        write_program(build("blur:2"), torch.rand(4, 3, 20, 24), tmp_path / "x.onnx", card)
    path = tmp_path / "x.onnx"
    assert str(caught.value) == (
        f"{path}: ONNX needs the package onnxscript. Install the extra: pip install 'anon_tune[onnx]'."
    )
    assert not list(tmp_path.iterdir())


def test_tokens_are_traced_for_the_size_of_the_training_clips(tmp_path: Path) -> None:
    torch.manual_seed(0)
    recipe = make_recipe({"method": "tokens", "tokens.width": 24, "tokens.depth": 3})
    anonymizer = build_anonymizer(recipe).requires_grad_(False)
    anonymizer.trained_on.copy_(torch.tensor([4, 32, 32]))
    frames = torch.rand(4, 3, 32, 32)
    write_program(anonymizer.eval(), frames, tmp_path / "x.pt2", card)
    assert card_of(tmp_path / "x.pt2") == {"shape": [4, 32, 32], "difference": 0}
    assert torch.equal(run(tmp_path / "x.pt2", frames), anonymizer(frames))
