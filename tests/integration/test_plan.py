"""`anon-tune plan` on small clips: real steps are timed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from anon_tune.clips import Clips, ClipSet
from anon_tune.clips.outside import outside_training
from anon_tune.evaluation import fit
from anon_tune.methods import make_recipe
from anon_tune.worker.timing import Bench, time_recipe

FILES = Path(__file__).parents[2] / "cluster"


@pytest.fixture(scope="module")
def space(tiny_params: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("plan") / "space.toml"
    fixed = "\n".join(
        f'"{name}" = {json.dumps(value)}' for name, value in tiny_params.items() if name != "anonymizer.base_channels"
    )
    file.write_text(
        f"""[study]
num_trials = 30
rungs = {{ min_steps = 2, factor = 3 }}
[fixed]
{fixed}
[search]
"penalty.weight" = {{ low = 0.1, high = 10.0 }}
"anonymizer.base_channels" = {{ choices = [4, 16] }}
"""
    )
    return file


def planned(say: Callable[..., Any], *arguments: object) -> dict[str, Any]:
    said = say("plan", *arguments, "--format", "json")
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert isinstance(found, dict)
    return found


@pytest.mark.trains
def test_a_plan_says_seconds_memory_hours_and_money(say: Callable[..., Any], avatars: Clips, space: Path) -> None:
    plan = planned(say, space, "--clips", avatars.directory, "--gpus", 0.5, "--cluster", FILES / "aws.yaml")
    assert [recipe["role"] for recipe in plan["recipes"]] == ["cheapest", "dearest"]
    assert {recipe["params"]["anonymizer.base_channels"] for recipe in plan["recipes"]} == {4, 16}
    for recipe in plan["recipes"]:
        assert recipe["seconds_per_step"] > 0
        assert recipe["seconds_per_trial"] == recipe["training_seconds"] + recipe["measuring_seconds"]
    assert all(recipe["peak_memory_bytes"] > 10_000_000 for recipe in plan["recipes"])
    rungs, whole = plan["with_rungs"], plan["without_rungs"]
    assert (plan["num_trials"], whole["num_full_scores"]) == (30, 30)
    assert 0 < rungs["num_full_scores"] < 30
    for cost in (rungs, whole):
        assert 0 < cost["measuring_share"] < 1
        assert cost["gpu_hours"] == pytest.approx(0.5 * cost["trial_hours"]) and cost["gpu_hours"] > 0
        assert 0 < cost["money"] < cost["money_with_all_nodes_up"] * plan["trials_at_a_time"]
    assert "no GPU" in plan["notes"][0]


@pytest.fixture
def closed_form(tiny_params: dict[str, Any], tmp_path: Path) -> Path:
    """A search space without training."""
    file = tmp_path / "space.toml"
    fixed = "\n".join(
        f'"{name}" = {json.dumps(value)}' for name, value in tiny_params.items() if name.startswith("evaluation.")
    )
    file.write_text(f'[study]\nnum_trials = 3\n[fixed]\n{fixed}\n[search]\nmethod.choices = ["blur:2", "pixelate:4"]\n')
    return file


@pytest.mark.trains
def test_closed_form_methods_cost_only_their_measurement(
    say: Callable[..., Any], avatars: Clips, closed_form: Path
) -> None:
    plan = planned(say, closed_form, "--clips", avatars.directory)
    assert plan["measuring_share"] == 1 and plan["with_rungs"] is None
    assert plan["without_rungs"]["gpu_hours"] == 0 and plan["without_rungs"]["money"] is None


@pytest.mark.trains
def test_what_does_not_fit_is_said(say: Callable[..., Any], avatars: Clips, closed_form: Path) -> None:
    said = say("plan", closed_form, "--clips", avatars.directory, "--gpus", 4096, "--trials", 1)
    assert said.code == 0
    assert "## Does not fit" in said.out and "4096 GPU" in said.out
    assert "| cheapest | blur:2 |" in said.out


@pytest.mark.trains
def test_attackers_outside_the_training_split_are_timed_on_their_clips(
    avatars: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained_on: list[int] = []

    def counted(network: nn.Module, train: ClipSet, *rest: Any) -> Any:
        trained_on.append(len(train))
        return fit(network, train, *rest)

    monkeypatch.setattr("anon_tune.evaluation.lab.fit", counted)
    few = {"evaluation.full.attackers": "frame", "evaluation.rung.attackers": "frame", "evaluation.width": 4}
    recipe = make_recipe({"method": "blur:2", "evaluation.attackers_learn_on": "outside", **few})
    time_recipe(Bench(str(avatars.directory)), recipe, measure=True)
    assert set(trained_on) == {len(outside_training(avatars).split("train"))}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["quickstart", "--clips", "nowhere"], "nowhere"),
        (["quikstart", "--clips", "avatars"], "quikstart"),
        (["quickstart", "--clips", "avatars", "--cluster", "nowhere.yaml"], "nowhere.yaml"),
        (["quickstart", "--clips", "avatars", "--set", "penalty.wait=1"], "penalty.wait"),
    ],
)
def test_a_mistake_is_one_line(say: Callable[..., Any], arguments: list[str], text: str) -> None:
    said = say("plan", *arguments)
    assert said.code == 2 and text in said.err and said.err.startswith("error: ") and said.err.count("\n") == 1
