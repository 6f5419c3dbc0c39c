"""A method's own attackers, with inputs from its builder, count in the score of a trial."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from anon_tune.attackers import ATTACKERS, AttackerSpec, Setting
from anon_tune.clips import Clips
from anon_tune.methods import METHODS, attackers_of, load_builder
from anon_tune.methods.black_out import SPEC
from anon_tune.recipe import Recipe
from anon_tune.trial import Ceilings, RungJob
from anon_tune.worker.job import perform


class ShadeReader(nn.Module):
    """An attacker that reads the mean brightness of the raw clip, which the method below reveals."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.head = nn.Linear(1, setting.num_attributes)

    def forward(self, clips: Tensor, shade: Tensor) -> Tensor:
        logits: Tensor = self.head(shade.unsqueeze(1))
        return logits


@pytest.fixture
def leaky(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the method black-out an attacker of its own, and a builder that makes its inputs."""
    reader = AttackerSpec("shade-reader", "the mean shade", "a test", ShadeReader, inputs=("shade",))
    monkeypatch.setitem(ATTACKERS.ours, "shade-reader", reader)  # type: ignore[arg-type]
    builder: Any = ModuleType("leaky_black_out")
    builder.build = load_builder(SPEC).build
    builder.attacker_inputs = lambda recipe: lambda anonymizer, clips: {"shade": clips.mean(dim=(1, 2, 3, 4))}
    monkeypatch.setitem(sys.modules, "leaky_black_out", builder)
    leaky = replace(SPEC, attackers=("shade-reader",), builder="leaky_black_out")
    monkeypatch.setitem(METHODS.ours, "black-out", leaky)  # type: ignore[arg-type]


@pytest.mark.usefixtures("leaky")
def test_they_are_added_to_those_of_the_recipe(
    avatars: Clips, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    recipe = tiny_recipe({"evaluation.full.attackers": "frame"}).model_copy(update={"method": "black-out"})
    names, inputs = attackers_of(recipe)
    assert names == ("shade-reader",) and inputs is not None
    job = RungJob("black-out", recipe, str(tmp_path), 0, 6, True, Ceilings(0.9, 0.9))
    report = perform(job, avatars, torch.device("cpu"))
    assert report is not None
    assert list(report.score.attackers) == ["frame", "shade-reader", "committee"]


def test_other_methods_bring_none(tiny_recipe: Callable[..., Recipe]) -> None:
    assert attackers_of(tiny_recipe()) == ((), None)
