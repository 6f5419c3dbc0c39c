from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from anon_tune.schedule import Schedule

numbers = st.floats(-1e6, 1e6)
moving = st.one_of(
    st.builds(Schedule, kind=st.sampled_from(["linear", "cosine"]), start=numbers, end=numbers),
    st.builds(Schedule, kind=st.just("staircase"), start=numbers, end=numbers, num_stairs=st.integers(2, 20)),
)
schedules = st.one_of(moving, st.builds(Schedule, start=numbers))
lengths = st.integers(1, 500)


@given(schedules, lengths)
def test_a_schedule_goes_from_start_to_end_and_never_turns_back(schedule: Schedule, num_steps: int) -> None:
    values = [schedule.at(step, num_steps) for step in range(num_steps + 1)]
    end = schedule.start if schedule.end is None else schedule.end
    slack = 1e-9 * max(1.0, abs(schedule.start), abs(end))
    assert values[0] == schedule.start
    assert abs(values[-1] - end) <= slack
    sign = 1 if end >= schedule.start else -1
    assert all(sign * (b - a) >= -slack for a, b in pairwise(values))
    assert min(values) >= schedule.lowest - slack


@given(schedules, lengths, st.integers(1, 100))
def test_the_ends_hold_beyond_the_run(schedule: Schedule, num_steps: int, beyond: int) -> None:
    assert schedule.at(-beyond, num_steps) == schedule.at(0, num_steps)
    assert schedule.at(num_steps + beyond, num_steps) == schedule.at(num_steps, num_steps)


@given(st.integers(2, 20), st.integers(1, 300))
def test_a_staircase_has_its_number_of_equal_stairs(num_stairs: int, stair_steps: int) -> None:
    schedule = Schedule(kind="staircase", start=0.0, end=1.0, num_stairs=num_stairs)
    num_steps = num_stairs * stair_steps
    values = [schedule.at(step, num_steps) for step in range(num_steps)]
    assert len(set(values)) == num_stairs
    assert all(abs(values.count(v) - stair_steps) <= 1 for v in set(values))


@given(schedules)
def test_a_schedule_survives_a_file(schedule: Schedule) -> None:
    assert Schedule.model_validate_json(schedule.model_dump_json()) == schedule
