from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from anon_tune.errors import RecipeError
from anon_tune.methods import make_recipe, read_recipe, recipe_names
from anon_tune.recipe import PenaltyRecipe, Recipe, nest
from anon_tune.schedule import Schedule


def test_flat_names_reach_their_place() -> None:
    recipe = make_recipe(
        {
            "penalty.weight": 2,
            "penalty.threshold.kind": "linear",
            "penalty.threshold.start": 0.1,
            "penalty.threshold.end": 0.3,
            "training.seed": 5,
            "evaluation.full.attackers": "frame, clip",
        }
    )
    assert recipe.penalty.weight == Schedule(start=2.0)
    assert recipe.penalty.threshold == Schedule(kind="linear", start=0.1, end=0.3)
    assert (recipe.training.seed, recipe.evaluation.full.attackers) == (5, ("frame", "clip"))
    assert recipe.anonymizer == Recipe().anonymizer


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"penalty.wieght": 2}, "f.toml: unknown name 'penalty.wieght'. Did you mean 'penalty.weight'?"),
        ({"privacy.cap": -1}, "f.toml: 'privacy.cap': input should be greater than 0, got -1. "),
        ({"penalty.weight": -0.5}, "f.toml: 'penalty.weight' must be at least 0 at every step, got -0.5. "),
        ({"penalty.weight": True}, "f.toml: 'penalty.weight': "),
        ({"penalty.on": "edges"}, "f.toml: 'penalty.on': input should be 'pixels' or 'features', got edges. "),
        (
            {"training.num_steps": 0},
            "f.toml: 'training.num_steps': input should be greater than or equal to 1, got 0. ",
        ),
        ({"training.num_steps": 1.5}, "f.toml: 'training.num_steps': "),
        ({"penalty.weight": 1, "penalty.weight.start": 1}, "f.toml: 'penalty.weight.start' and one of its parents"),
        ({"penalty.weight.kind": "linear", "penalty.weight.start": 1}, "f.toml: 'penalty.weight': 'end' must be given"),
        ({"utility.lr": float("nan")}, "f.toml: 'utility.lr.start': "),
        ({"evaluation.full.attackers": []}, "f.toml: 'evaluation.full.attackers': "),
        (
            {"evaluation.full.attackers": "clip,clip"},
            "f.toml: 'evaluation.full.attackers': an attacker may be named only once, got clip, clip",
        ),
        ({"dp.unit": "groups"}, "f.toml: 'dp': 'dp.unit' needs 'dp.clip_norm' and 'dp.noise_multiplier'"),
        ({"evaluation.full.num_attackers": 4}, "f.toml: 'evaluation.full.attackers': "),
        ({"evaluation.full.num_attackers": True}, "f.toml: 'evaluation.full.attackers': "),
    ],
)
def test_a_mistake_is_one_line_that_names_it(params: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        make_recipe(params, "f.toml")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_schedule_may_not_dip_below_zero() -> None:
    with pytest.raises(RecipeError, match=r"'privacy\.weight' must be at least 0 at every step, got -1"):
        make_recipe({"privacy.weight.kind": "cosine", "privacy.weight.start": 2, "privacy.weight.end": -1})


@pytest.mark.parametrize(
    ("params", "needed"),
    [
        ({"training.stills_per_clip": 3}, r"'training\.stills_per_clip' = 2 and"),
        ({"training.batch_clips": 1}, r"'training\.stills_per_clip' = 2 and"),
        ({"training.batch_clips": 4, "training.accumulate": 4}, r"'training\.accumulate' of at most half of"),
    ],
)
def test_the_self_supervised_head_needs_pairs_to_tell_apart(params: dict[str, Any], needed: str) -> None:
    assert make_recipe(params)
    with pytest.raises(RecipeError, match=rf"'privacy\.head' = 'nt_xent' needs {needed}"):
        make_recipe({"privacy.head": "nt_xent", **params})


def test_a_recipe_is_frozen_and_refuses_strangers() -> None:
    with pytest.raises(ValidationError):
        Recipe().method = "identity"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        PenaltyRecipe(wieght=1)  # type: ignore[call-arg]


def test_the_fingerprint_is_that_of_the_numbers() -> None:
    assert Recipe().fingerprint() == make_recipe({"penalty.weight": 1}).fingerprint()
    assert len(Recipe().fingerprint()) == 16
    int(Recipe().fingerprint(), 16)
    changed = [make_recipe({name: value}) for name, value in CHANGES.items()]
    assert len({Recipe().fingerprint(), *(r.fingerprint() for r in changed)}) == 1 + len(CHANGES)


CHANGES: dict[str, Any] = {
    "method": "identity",
    "anonymizer.base_channels": 8,
    "utility.lr": 0.1,
    "privacy.head": "nt_xent",
    "penalty.detached": True,
    "penalty.weight": 1.0000001,
    "training.seed": 1,
    "evaluation.seed": 1,
    "evaluation.rung.attackers": ["clip"],
}


def test_names_hold_schedules_whole_and_by_field() -> None:
    names = recipe_names()
    assert {"method", "penalty.weight", "penalty.weight.kind", "penalty.weight.num_stairs", "training.seed"} <= names
    assert "penalty" not in names
    assert "evaluation.full" not in names


def test_nest_refuses_a_value_that_is_also_a_table() -> None:
    assert nest({"a.b": 1, "a.c.d": 2, "e": 3}) == {"a": {"b": 1, "c": {"d": 2}}, "e": 3}
    with pytest.raises(RecipeError, match=r"'a\.b' and one of its parents are both set"):
        nest({"a": 1, "a.b": 2})


def test_what_is_not_named_keeps_its_default_also_beside_a_named_sibling() -> None:
    recipe = make_recipe({"evaluation.rung.attacker_steps": 7})
    assert recipe.evaluation.rung.attackers == Recipe().evaluation.rung.attackers == ("frame", "descriptors")
    assert recipe.evaluation.rung.classifier_steps == Recipe().evaluation.rung.classifier_steps


def test_epochs_are_turned_into_steps() -> None:
    clips = {"training.epoch_clips": 100, "training.batch_clips": 4}  # a step takes four batches: moves 1 and 2
    recipe = make_recipe({"training.num_epochs": 2.5, **clips})
    assert recipe.training.num_steps == 16  # of 15.6
    assert read_recipe(recipe.model_dump_json()) == recipe
    assert make_recipe({"training.num_epochs": 0.001, **clips}).training.num_steps == 1
    assert make_recipe({"training.num_epochs": 2.5}).training.num_steps == Recipe().training.num_steps
    with pytest.raises(RecipeError, match=r"'training.num_epochs' and 'training.num_steps' cannot both be set"):
        make_recipe({"training.num_epochs": 2, "training.num_steps": 9})
