"""Dominance and hypervolume against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from anon_tune.pareto import coverage, front_ranks, hypervolume
from anon_tune.pareto.growth import Staircase

# Few distinct values make ties and duplicates common; the wide range finds rounding.
COARSE = st.integers(0, 4).map(lambda k: k / 4)
VALUES = COARSE | st.floats(-1, 1, allow_subnormal=False)
BAD = st.sampled_from([float("nan"), float("inf"), float("-inf")])


def rows(elements=VALUES, max_rows=9):
    shapes = st.tuples(st.integers(0, max_rows), st.integers(2, 3))
    return shapes.flatmap(lambda shape: arrays(float, shape, elements=elements))


def dominates(a, b) -> bool:
    return bool((a <= b).all() and (a < b).any())


def ranks_by_definition(losses) -> list[int]:
    ranks = [-1] * len(losses)
    left = [i for i in range(len(losses)) if np.isfinite(losses[i]).all()]
    layer = 0
    while left:
        front = [i for i in left if not any(dominates(losses[j], losses[i]) for j in left)]
        for i in front:
            ranks[i] = layer
        left = [i for i in left if i not in front]
        layer += 1
    return ranks


def volume_by_grid(losses, reference) -> float:
    """Cut the box at every coordinate and add the cells whose lower corner some row reaches."""
    losses = [row for row in losses if np.isfinite(row).all() and (row < reference).all()]
    if not losses:
        return 0.0
    edges = [np.unique([row[k] for row in losses] + [reference[k]]) for k in range(len(reference))]
    total = 0.0
    for cell in np.ndindex(*(len(e) - 1 for e in edges)):
        low = np.array([e[i] for e, i in zip(edges, cell, strict=True)])
        high = np.array([e[i + 1] for e, i in zip(edges, cell, strict=True)])
        if any((row <= low).all() for row in losses):
            total += float(np.prod(high - low))
    return total


@given(rows(VALUES | BAD))
def test_ranks_are_those_of_the_definition(losses):
    assert front_ranks(losses).tolist() == ranks_by_definition(losses)


@given(rows(COARSE), st.data())
def test_a_row_that_is_not_finite_at_any_index_gets_no_rank_and_changes_no_other(losses, data):
    index = data.draw(st.integers(0, len(losses)))
    bad = np.full(losses.shape[1], data.draw(VALUES))
    bad[data.draw(st.integers(0, losses.shape[1] - 1))] = data.draw(BAD)
    with_bad = np.insert(losses, index, bad, axis=0)

    ranks = front_ranks(with_bad)
    assert ranks[index] == -1
    assert np.delete(ranks, index).tolist() == front_ranks(losses).tolist()
    reference = np.full(losses.shape[1], 1.1)
    assert hypervolume(with_bad, reference) == hypervolume(losses, reference)
    for point in (reference, None):
        covered = coverage(with_bad, point)
        assert covered[index] == 0
        assert np.delete(covered, index).tolist() == coverage(losses, point).tolist()


@given(rows(VALUES | BAD), st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(losses, random):
    order = list(range(len(losses)))
    random.shuffle(order)
    reference = np.full(losses.shape[1], 0.9)
    assert front_ranks(losses[order]).tolist() == front_ranks(losses)[order].tolist()
    assert hypervolume(losses[order], reference) == pytest.approx(hypervolume(losses, reference), abs=1e-12)
    assert coverage(losses[order], reference) == pytest.approx(coverage(losses, reference)[order], abs=1e-12)


@given(rows(), st.data())
def test_a_duplicate_shares_the_rank_and_leaves_neither_any_coverage(losses, data):
    if not len(losses):
        return
    index = data.draw(st.integers(0, len(losses) - 1))
    doubled = np.vstack([losses, losses[index]])
    ranks = front_ranks(doubled)
    assert ranks[-1] == ranks[index]
    assert ranks[:-1].tolist() == front_ranks(losses).tolist()
    covered = coverage(doubled, np.full(losses.shape[1], 1.5))
    assert [covered[-1], covered[index]] == pytest.approx([0, 0], abs=1e-12)


@given(rows(VALUES | BAD))
def test_inputs_may_be_read_only_and_are_not_changed(losses):
    before = losses.copy()
    losses.setflags(write=False)
    reference = np.full(losses.shape[1], 0.5)
    reference.setflags(write=False)
    front_ranks(losses)
    hypervolume(losses, reference)
    coverage(losses, reference)
    coverage(losses)
    assert np.array_equal(losses, before, equal_nan=True)


@settings(max_examples=60)
@given(rows(VALUES | BAD, max_rows=6), VALUES)
def test_hypervolume_is_that_of_the_cells(losses, corner):
    reference = np.full(losses.shape[1], corner)
    assert hypervolume(losses, reference) == pytest.approx(volume_by_grid(losses, reference), abs=1e-12)


@settings(max_examples=60)
@given(rows(VALUES, max_rows=6))
def test_coverage_is_what_the_volume_loses_without_the_row(losses):
    reference = np.full(losses.shape[1], 0.8)
    whole = volume_by_grid(losses, reference)
    expected = [whole - volume_by_grid(np.delete(losses, i, axis=0), reference) for i in range(len(losses))]
    covered = coverage(losses, reference)
    assert covered == pytest.approx(np.array(expected), abs=1e-12)
    assert covered.sum() <= whole + 1e-12


@given(rows(VALUES))
def test_by_default_every_distinct_row_of_the_first_layer_covers_something(losses):
    losses = np.unique(np.round(losses, 3), axis=0)
    assert (coverage(losses)[front_ranks(losses) == 0] > 0).all()


@given(st.integers(2, 3).flatmap(lambda m: st.tuples(*[arrays(float, m, elements=st.floats(0, 1))] * 2)))
def test_one_row_covers_a_box(pair):
    row, extent = pair
    assert hypervolume([row], row + extent) == pytest.approx(float(np.prod((row + extent) - row)), abs=1e-12)


@given(st.integers(1, 12))
def test_a_staircase_has_its_closed_form(n):
    stairs = np.array([[k, n - 1 - k] for k in range(n)], dtype=float)
    assert hypervolume(stairs, [n, n]) == n * (n + 1) / 2
    assert coverage(stairs, [n, n]).tolist() == [1.0] * n


@given(st.lists(st.tuples(VALUES, VALUES), max_size=12).map(np.array), st.tuples(VALUES, VALUES))
def test_a_staircase_grows_as_the_volume_does(losses, corner):
    losses = losses.reshape(-1, 2)
    stairs, volume = Staircase(corner), 0.0
    for n, (x, y) in enumerate(losses.tolist(), start=1):
        volume += stairs.add((x, y))
        assert volume == pytest.approx(hypervolume(losses[:n], corner), abs=1e-12)
        inside = losses[:n][(losses[:n] < corner).all(axis=1)]
        assert stairs.points == sorted({tuple(row) for row in inside[front_ranks(inside) == 0].tolist()})
