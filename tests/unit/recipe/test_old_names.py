from __future__ import annotations

import pytest

from anon_tune.methods import make_recipe
from anon_tune.recipe import AuditRecipe, EffortRecipe


def test_a_number_of_attackers_becomes_their_names_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    old = {"evaluation.full.num_attackers": 2, "evaluation.rung.num_attackers": 1}
    recipes = [make_recipe(old, "old.toml") for _ in range(2)]  # as for two trials
    new = {"evaluation.full.attackers": ("frame", "clip"), "evaluation.rung.attackers": "frame"}
    assert recipes == [make_recipe(new)] * 2
    assert sorted(capsys.readouterr().err.splitlines()) == [
        f"old.toml: 'evaluation.{effort}.num_attackers' is now called 'evaluation.{effort}.attackers', "
        "a list of names such as frame,clip,motion."
        for effort in ("full", "rung")
    ]


def test_an_audit_takes_families_for_attackers(capsys: pytest.CaptureFixture[str]) -> None:
    assert AuditRecipe.from_params({"families": ["frame", "pixels"]}, "old option").attackers == ("frame", "pixels")
    assert capsys.readouterr().err == (
        "old option: 'families' is now called 'attackers', a list of names such as frame,clip,motion.\n"
    )
    assert AuditRecipe.from_params({"attackers": "frame,clip"}).attackers == ("frame", "clip")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("number", [1, 2, 3])
def test_recipes_that_were_written_before_are_read(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    read = EffortRecipe.model_validate({"num_attackers": number, "attacker_steps": 3})
    assert read == EffortRecipe(attackers=("frame", "clip", "motion")[:number], attacker_steps=3)
    assert AuditRecipe.model_validate_json('{"families": ["clip"]}') == AuditRecipe(attackers=("clip",))
    assert capsys.readouterr().err == ""
