"""Rungs against their definition: brute force, any order of arrival, any names, any scale."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from anon_tune.pareto import coverage, front_ranks
from anon_tune.search.pareto_layers import ParetoLayers
from anon_tune.search.rungs import Rung, deal_bracket, rung_levels

# A coarse grid, so that ties and equal rows are common.
loss = st.integers(0, 6).map(lambda n: n / 4)
violation = st.sampled_from([0.0, 0.0, 0.0, 0.25, 0.5])
Rows = dict[str, tuple[float, float, float]]
rungs = st.dictionaries(
    st.integers(0, 99).map("{:04d}".format), st.tuples(loss, loss, violation), min_size=1, max_size=40
)
factors = st.integers(2, 5)


def filled(rows: Rows, factor: int) -> Rung:
    rung = Rung(factor)
    for name, (first, second, missed) in rows.items():
        rung.add(name, (first, second), missed)
    return rung


def by_definition(rows: Rows) -> list[str]:
    """Order trials as the docstring says, with the pareto room's own functions."""
    feasible = sorted(name for name, row in rows.items() if row[2] == 0)
    losses = np.array([rows[name][:2] for name in feasible]).reshape(-1, 2)
    layers = front_ranks(losses)
    covered = np.zeros(len(feasible))
    for layer in np.unique(layers):
        covered[layers == layer] = coverage(losses[layers == layer])
    # Coverages that differ by rounding alone are equal: on this grid they are multiples of a tenth of 1/16.
    first = sorted(range(len(feasible)), key=lambda i: (layers[i], -round(covered[i], 9), feasible[i]))
    rest = sorted((row[2], name) for name, row in rows.items() if row[2] > 0)
    return [feasible[i] for i in first] + [name for _, name in rest]


@given(st.lists(st.tuples(loss, loss), min_size=1, max_size=60))
def test_layers_are_those_of_all_points_at_once(points: list[tuple[float, float]]) -> None:
    layers = ParetoLayers()
    for at, point in enumerate(points):
        layers.add(str(at), point)
        seen = {name: k for k, _ in enumerate(layers.starts()) for name in layers.names(k)}
        assert [seen[str(i)] for i in range(at + 1)] == front_ranks(points[: at + 1]).tolist()
    assert layers.layer_of(points[0]) == seen["0"]
    for k, start in enumerate(layers.starts()):
        names = layers.names(k)
        assert start == sum(rank < k for rank in seen.values())
        expected = coverage([points[int(name)] for name in names])
        np.testing.assert_allclose(layers.coverage(k), expected, atol=1e-12)


@given(rungs, factors)
def test_positions_follow_the_definition(rows: Rows, factor: int) -> None:
    rung = filled(rows, factor)
    positions = {name: rung.verdict(name).position for name in rows}
    assert sorted(positions.values()) == list(range(len(rows)))
    order = by_definition(rows)
    ours = sorted(positions, key=lambda name: positions[name])
    # The same layers in the same order; inside one, equal coverage may be told apart by rounding.
    assert [rung.verdict(n).front_rank for n in ours] == [rung.verdict(n).front_rank for n in order]
    assert [rows[n][2] for n in ours] == [rows[n][2] for n in order]
    assert [n for n in ours if rows[n][2]] == [n for n in order if rows[n][2]]


@given(rungs, factors, st.randoms(use_true_random=False))
def test_neither_the_order_of_arrival_nor_a_second_report_matters(rows: Rows, factor: int, random) -> None:  # type: ignore[no-untyped-def]
    shuffled = list(rows.items())
    random.shuffle(shuffled)
    one, other = filled(rows, factor), filled(dict(shuffled), factor)
    for name, (first, second, missed) in rows.items():
        other.add(name, (second, first), missed + 1)
        assert one.verdict(name) == other.verdict(name)


@given(rungs, factors)
def test_other_names_in_the_same_order_change_nothing(rows: Rows, factor: int) -> None:
    renamed = {f"trial-{name}": row for name, row in rows.items()}
    one, other = filled(rows, factor), filled(renamed, factor)
    assert all(one.verdict(name) == other.verdict(f"trial-{name}") for name in rows)


@given(rungs, factors)
def test_layers_ignore_any_rising_map_and_the_order_any_linear_one(rows: Rows, factor: int) -> None:
    one = filled(rows, factor)
    risen = filled({n: (math.exp(a), b**3 - 7, v) for n, (a, b, v) in rows.items()}, factor)
    scaled = filled({n: (8 * a + 3, b / 16 - 1, v) for n, (a, b, v) in rows.items()}, factor)  # exact in binary
    for name in rows:
        assert risen.verdict(name).front_rank == one.verdict(name).front_rank
        assert scaled.verdict(name).front_rank == one.verdict(name).front_rank


@given(rungs, factors)
def test_feasible_trials_come_first_and_no_nondominated_one_is_stopped(rows: Rows, factor: int) -> None:
    rung = filled(rows, factor)
    verdicts = {name: rung.verdict(name) for name in rows}
    for name, verdict in verdicts.items():
        if rows[name][2] == 0:
            assert verdict.position < sum(row[2] == 0 for row in rows.values())
            assert verdict.keep or verdict.front_rank > 0
        assert verdict.keep or len(rows) >= 2 * factor
    kept = sorted(v.position for v in verdicts.values() if v.keep)
    num_spared = 2 if len(rows) < 4 * factor else 1
    spared = sum(0 <= v.front_rank < num_spared for v in verdicts.values())
    share = len(rows) if len(rows) < 2 * factor else max(math.ceil(len(rows) / factor), spared)
    assert kept == list(range(share))


@given(rungs, factors, st.sampled_from([math.nan, math.inf, -math.inf]), st.booleans())
def test_a_loss_that_is_not_finite_stops_its_trial_and_no_other(
    rows: Rows, factor: int, bad: float, first: bool
) -> None:
    one, other = filled(rows, factor), filled(rows, factor)
    other.add("bad", (bad, 0.0) if first else (0.0, bad))
    assert not other.verdict("bad").keep
    assert all(one.verdict(name) == other.verdict(name) for name in rows)


@given(st.integers(1, 50), factors, st.integers(1, 5000))
def test_levels_rise_by_the_factor_and_end_at_the_last_step(min_steps: int, factor: int, num_steps: int) -> None:
    levels = rung_levels(min_steps, factor, num_steps)
    assert levels[-1] == num_steps
    assert list(levels) == sorted(set(levels))
    assert levels[:-1] == tuple(min_steps * factor**k for k in range(len(levels) - 1))
    assert min_steps * factor ** (len(levels) - 1) >= num_steps


@given(rungs, factors)
def test_promoting_takes_the_first_of_the_order_one_after_the_other(rows: Rows, factor: int) -> None:
    rung = filled(rows, factor)
    taken = []
    while (trial := rung.promotable()) is not None:
        rung.promote(trial)
        taken.append(rung.verdict(trial).position)
    if len(rows) < 2 * factor:
        assert not taken
    else:
        assert taken == list(range(len(taken))) and len(taken) >= len(rows) // factor
        spared = {name for name in rows if rung.verdict(name).front_rank == 0}
        assert all(rung.verdict(name).position < len(taken) for name in spared)
    while (trial := rung.promotable(everyone=True)) is not None:
        rung.promote(trial)
        taken.append(rung.verdict(trial).position)
    assert taken == list(range(len(rows)))


@given(st.integers(0, 2**31), st.integers(1, 4), factors)
def test_brackets_are_dealt_alike_whenever_asked(seed: int, num_brackets: int, factor: int) -> None:
    dealt = [deal_bracket(seed, number, num_brackets, factor) for number in range(200)]
    assert dealt == [deal_bracket(seed, number, num_brackets, factor) for number in range(200)]
    assert set(dealt) <= set(range(num_brackets))
    counts = [dealt.count(b) for b in range(num_brackets)]
    assert all(a > b for a, b in pairwise(counts[:2]))
