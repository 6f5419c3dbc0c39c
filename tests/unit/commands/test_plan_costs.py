from __future__ import annotations

import pytest

from anon_tune.commands.plan_costs import StepCosts, costly_names, timed_seconds
from anon_tune.evaluation.timing import MeasuringTimes
from anon_tune.search import SearchSpace
from anon_tune.worker.timing import RecipeTimes

TABLES = {
    "fixed": {"training.num_steps": 100, "training.warmup_steps": 10, "anonymizer.pretrain_steps": 5},
    "search": {
        "penalty.weight": {"low": 0.1, "high": 10.0},
        "anonymizer.base_channels": {"low": 8, "high": 24, "integer": True},
        "training.num_branch_updates": {"choices": [1, 3]},
        "training.seed": {"low": 0, "high": 9, "integer": True},
    },
}
MEASURING = MeasuringTimes(rung_s=3.0, full_s=20.0, raw_s=50.0)


def test_only_values_that_change_the_work_are_timed() -> None:
    space = SearchSpace.from_tables(TABLES, "costs")
    assert costly_names(space) == ["anonymizer.base_channels", "training.num_branch_updates"]
    changed = [
        (point["anonymizer.base_channels"], point["training.num_branch_updates"])
        for point in StepCosts(space).to_time()
    ]
    assert changed == [(8, 1), (24, 1), (8, 3)]


def test_factors_of_two_names_multiply_and_lie_on_a_line_between_numbers() -> None:
    space = SearchSpace.from_tables(TABLES, "costs")
    costs = StepCosts(space)
    for params, step_s in zip(costs.to_time(), (1.0, 3.0, 2.0), strict=True):
        costs.learn(params, RecipeTimes(step_s=step_s))
    point = {"penalty.weight": 1.0, "anonymizer.base_channels": 16, "training.num_branch_updates": 3}
    assert costs.step_s(point) == pytest.approx(2.0 * 2.0)
    costs.correct([(point, RecipeTimes(step_s=8.0, measuring=MEASURING))])
    assert costs.step_s(point) == pytest.approx(8.0)


def test_a_trial_pays_for_every_step_and_every_measurement() -> None:
    recipe = SearchSpace.from_tables(TABLES, "costs").recipe(
        {"penalty.weight": 1.0, "anonymizer.base_channels": 8, "training.num_branch_updates": 1, "training.seed": 0}
    )
    times = RecipeTimes(start_s=1.0, pretrain_s=0.1, warmup_s=0.2, step_s=0.5, measuring=MEASURING)
    whole = timed_seconds(times, recipe, (25, 50, 100), (0, 1, 2))
    assert whole.training == pytest.approx(3 * 1.0 + 5 * 0.1 + 10 * 0.2 + 100 * 0.5)
    assert whole.measuring == 2 * 3.0 + 20.0
    stopped = timed_seconds(times, recipe, (25, 50, 100), (0, 1))
    assert stopped.training == pytest.approx(2 * 1.0 + 5 * 0.1 + 10 * 0.2 + 50 * 0.5)
    assert stopped.measuring == 2 * 3.0


def test_branches_that_restart_warm_up_again() -> None:
    tables = TABLES | {"fixed": TABLES["fixed"] | {"privacy.restart_steps": 40}}
    recipe = SearchSpace.from_tables(tables, "costs").recipe(
        {"penalty.weight": 1.0, "anonymizer.base_channels": 8, "training.num_branch_updates": 1, "training.seed": 0}
    )
    times = RecipeTimes(warmup_s=0.2, measuring=MEASURING)
    assert timed_seconds(times, recipe, (100,), (0,)).training == pytest.approx(3 * 10 * 0.2)  # also before 40 and 80
