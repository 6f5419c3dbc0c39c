from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from anon_tune.schedule import Schedule, ScheduleField


@pytest.mark.parametrize(
    ("fields", "values"),
    [
        ({"start": 3.0}, [3.0, 3.0, 3.0, 3.0, 3.0]),
        ({"kind": "linear", "start": 0.0, "end": 4.0}, [0.0, 1.0, 2.0, 3.0, 4.0]),
        ({"kind": "cosine", "start": 0.0, "end": 4.0}, [0.0, 2 - 2**0.5, 2.0, 2 + 2**0.5, 4.0]),
        ({"kind": "staircase", "start": 0.0, "end": 4.0, "num_stairs": 2}, [0.0, 0.0, 4.0, 4.0, 4.0]),
        ({"kind": "staircase", "start": 0.0, "end": 6.0, "num_stairs": 4}, [0.0, 2.0, 4.0, 6.0, 6.0]),
    ],
)
def test_the_curve_at_every_quarter(fields: dict[str, Any], values: list[float]) -> None:
    schedule = Schedule(**fields)
    assert [schedule.at(step, 40) for step in range(0, 41, 10)] == pytest.approx(values)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "linear", "start": 1.0},
        {"kind": "constant", "start": 1.0, "end": 2.0},
        {"kind": "staircase", "start": 1.0, "end": 2.0},
        {"kind": "staircase", "start": 1.0, "end": 2.0, "num_stairs": 1},
        {"kind": "cosine", "start": 1.0, "end": 2.0, "num_stairs": 3},
        {"kind": "steep", "start": 1.0, "end": 2.0},
        {"start": float("nan")},
        {"start": 1.0, "stop": 2.0},
    ],
)
def test_fields_that_do_not_belong_together_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Schedule(**fields)


def test_a_number_stands_for_a_constant() -> None:
    field = TypeAdapter(ScheduleField)
    assert field.validate_python(2) == field.validate_python({"start": 2.0}) == Schedule(start=2.0)
    with pytest.raises(ValidationError):
        field.validate_python(True)


def test_a_schedule_is_frozen() -> None:
    with pytest.raises(ValidationError):
        Schedule(start=1.0).start = 2.0  # type: ignore[misc]
