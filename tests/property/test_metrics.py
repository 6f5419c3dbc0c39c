from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from anon_tune.errors import AnonTuneError
from anon_tune.evaluation import average_precisions, bootstrap_interval, class_mean_ap, top1
from anon_tune.evaluation.metrics import prevalence

Array = np.ndarray[Any, Any]


@st.composite
def readings(draw: st.DrawFn) -> tuple[Array, Array]:
    """Scores (N,A) with ties among them, and labels (N,A)."""
    shape = draw(st.tuples(st.integers(1, 25), st.integers(1, 4)))
    scores = draw(hnp.arrays(np.float64, shape, elements=st.integers(-4, 4).map(float)))
    labels = draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 1)))
    return scores, labels


def naive(scores: Array, labels: Array) -> float:
    """Average precision by its definition: precision at every distinct score, weighted by the recall it adds."""
    total, found = int(labels.sum()), 0.0
    for threshold in sorted(set(scores)):
        chosen = scores >= threshold
        above = scores > threshold
        found += labels[chosen].mean() * (labels[chosen].sum() - labels[above].sum()) / total
    return found


def same(one: Array | float, two: Array | float) -> bool:
    return bool(np.allclose(one, two, rtol=0, atol=1e-12, equal_nan=True))


@given(readings())
def test_average_precision_is_its_definition(reading: tuple[Array, Array]) -> None:
    scores, labels = reading
    expected = [naive(s, y) if y.any() else math.nan for s, y in zip(scores.T, labels.T, strict=True)]
    assert same(average_precisions(scores, labels), np.array(expected))
    known = [value for value in expected if not math.isnan(value)]
    assert same(class_mean_ap(scores, labels), float(np.mean(known)) if known else math.nan)


@given(readings(), st.randoms(use_true_random=False))
def test_the_order_of_clips_does_not_matter(reading: tuple[Array, Array], random: Any) -> None:
    scores, labels = reading
    order = list(range(len(scores)))
    random.shuffle(order)
    assert same(average_precisions(scores[order], labels[order]), average_precisions(scores, labels))
    actions = labels[:, 0].astype(np.int64)
    assert top1(scores[order], actions[order]) == top1(scores, actions)


@given(readings(), st.floats(0.1, 10), st.floats(-5, 5))
def test_only_the_order_of_scores_matters(reading: tuple[Array, Array], scale: float, shift: float) -> None:
    scores, labels = reading
    assert same(average_precisions(np.exp(scores * scale) + shift, labels), average_precisions(scores, labels))


@given(readings(), st.floats(-10, 10))
def test_a_blind_scorer_gets_the_floor(reading: tuple[Array, Array], constant: float) -> None:
    scores, labels = reading
    blind = average_precisions(np.full(scores.shape, constant), labels)
    shares = np.where(labels.any(axis=0), labels.mean(axis=0), np.nan)
    assert same(blind, shares)
    if labels.any():
        assert math.isclose(class_mean_ap(np.full(scores.shape, constant), labels), prevalence(labels))


@given(readings())
def test_a_perfect_scorer_gets_one_and_a_missing_attribute_nan(reading: tuple[Array, Array]) -> None:
    _, labels = reading
    perfect = average_precisions(labels.astype(np.float64), labels)
    assert same(perfect, np.where(labels.any(axis=0), 1.0, np.nan))
    assert math.isnan(class_mean_ap(perfect[None], np.zeros((1, len(perfect)), np.uint8)))


@given(readings(), st.sampled_from([math.nan, math.inf, -math.inf]), st.integers(0, 24))
def test_a_scorer_that_broke_is_no_blind_one(reading: tuple[Array, Array], broken: float, at: int) -> None:
    scores, labels = reading
    labels[0, 0] = 1
    scores[at % len(scores), 0] = broken
    with pytest.raises(AnonTuneError, match="scores must be finite"):
        average_precisions(scores, labels)


@given(readings())
def test_inputs_stay_as_they_were(reading: tuple[Array, Array]) -> None:
    scores, labels = reading
    before = scores.copy(), labels.copy()
    average_precisions(scores, labels)
    class_mean_ap(scores, labels)
    top1(scores, labels[:, 0].astype(np.int64))
    assert (scores == before[0]).all()
    assert (labels == before[1]).all()


@given(hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1)), st.integers(0, 5), st.floats(0.55, 0.99))
def test_an_interval_is_a_pure_function_within_the_values(values: Array, seed: int, confidence: float) -> None:
    def interval(at: float) -> tuple[float, float]:
        return bootstrap_interval(lambda rows: float(values[rows].mean()), len(values), 50, at, seed)

    low, high = interval(confidence)
    assert (low, high) == interval(confidence)
    assert values.min() - 1e-12 <= low <= high <= values.max() + 1e-12
    wider = interval((1 + confidence) / 2)
    assert wider[0] <= low <= high <= wider[1]


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_the_interval_of_a_mean_is_the_textbooks(seed: int) -> None:
    values = np.random.default_rng(seed).random(400)
    low, high = bootstrap_interval(lambda rows: float(values[rows].mean()), 400, 400, 0.95, seed)
    half = 1.96 * values.std() / 20
    assert low < values.mean() < high
    assert math.isclose(high - low, 2 * half, rel_tol=0.2)


@given(st.integers(0, 100))
def test_resamples_without_any_positive_do_not_spoil_the_interval(seed: int) -> None:
    labels = np.array([[1], [0], [0]], np.uint8)
    scores = np.array([[0.9], [0.5], [0.1]])
    low, high = bootstrap_interval(lambda rows: class_mean_ap(scores[rows], labels[rows]), 3, 50, 0.9, seed)
    assert (low, high) == (1.0, 1.0)
