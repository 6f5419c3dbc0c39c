"""The comparison of two studies at equal cost, which must not fail after hours of runs."""

from __future__ import annotations

from typing import Any

import pytest
import search_matters as benchmark

Course = list[tuple[float, float]]


@pytest.mark.parametrize(
    ("ours", "random", "expected"),
    [
        ([(1.0, 0.0), (3.0, 0.2), (4.0, 0.3)], [(1.0, 0.0), (3.5, 0.1), (9.0, 0.5)], (4.0, 0.3, 0.1, 3.0)),
        ([(1.0, 0.0), (3.0, 0.2), (8.0, 0.9)], [(1.0, 0.0), (4.0, 0.4)], (4.0, 0.2, 0.4, 0.5)),
        ([(1.0, 0.1), (2.0, 0.3)], [(1.0, 0.0), (3.0, 0.5)], (2.0, 0.3, 0.0, None)),
        ([(1.0, 0.1), (2.0, 0.3)], [(3.0, 0.5)], (2.0, 0.3, 0.0, None)),
    ],
)
def test_the_cheaper_study_says_up_to_which_cost_both_count(
    ours: Course, random: Course, expected: tuple[float, float, float, float | None]
) -> None:
    runs: list[dict[str, Any]] = [
        {"arm": arm, "seed": 7, "course": course} for arm, course in (("ours", ours), ("random", random))
    ]
    found = benchmark.at_equal_cost(runs)
    cost, *both, ratio = expected
    assert (found["seed"], found["cpu_s"], found["ours"], found["random"]) == (7, cost, *both)
    assert found["ratio"] == (None if ratio is None else pytest.approx(ratio))
