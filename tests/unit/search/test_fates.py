from __future__ import annotations

from typing import Any

import pytest

from anon_tune.recipe import Recipe
from anon_tune.search import SearchSpace
from anon_tune.search.fates import fates


def space_with(rungs: Any, **fixed: Any) -> SearchSpace:
    tables = {
        "fixed": {"training.num_steps": 90, **fixed},
        "search": {"penalty.weight": {"low": 0.1, "high": 10.0}},
        "study": {"rungs": rungs},
    }
    return SearchSpace.from_tables(tables, "fates")


def recipes_of(space: SearchSpace, num: int, method: str | None = None) -> list[Recipe]:
    params = {} if method else {"penalty.weight": 1.0}
    return [space.recipe(params, method)] * num


def test_without_rungs_every_trial_gets_one_full_score() -> None:
    space = space_with({"min_steps": 10, "factor": 3})
    assert fates(space, recipes_of(space, 4), 0, rungs=False) == [(0,)] * 4
    space = space_with(False)
    assert fates(space, recipes_of(space, 4), 0) == [(0,)] * 4


@pytest.mark.parametrize("promote", [False, True])
def test_rungs_stop_most_trials_and_few_trials_are_not_judged(promote: bool) -> None:
    space = space_with({"min_steps": 10, "factor": 3, "promote": promote})  # rungs at 10, 30 and 90
    few = fates(space, recipes_of(space, 5), 0)
    assert few == [(0, 1, 2)] * 5  # a rung decides from six trials on
    many = fates(space, recipes_of(space, 90), 0)
    reached = [sum(rung in fate for fate in many) for rung in range(3)]
    assert reached[0] == 90
    assert 10 < reached[1] < 60 and 3 <= reached[2] < reached[1]
    assert all(fate == tuple(range(len(fate))) for fate in many)


def test_trials_of_bracket_b_skip_b_rungs() -> None:
    space = space_with({"min_steps": 10, "factor": 3, "brackets": 2})
    begun = {fate[0] for fate in fates(space, recipes_of(space, 40), 0)}
    assert begun == {0, 1}


def test_a_closed_form_method_is_measured_once_at_a_rung_and_in_full() -> None:
    space = space_with({"min_steps": 10, "factor": 3})
    assert fates(space, recipes_of(space, 8, "blur:2"), 0) == [(0, 2)] * 8
