from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from anon_tune.evaluation import average_precisions, class_mean_ap
from anon_tune.evaluation.linkage import link
from anon_tune.evaluation.metrics import precisions
from anon_tune.evaluation.resampling import chance_of_strongest, draw_resamples
from anon_tune.evaluation.thresholds import balanced_accuracy, best_threshold, f1

Array = np.ndarray[Any, Any]


@st.composite
def readings(draw: st.DrawFn) -> tuple[Array, Array]:
    """Scores (N,A) with ties among them, and labels (N,A) of both kinds."""
    num, attributes = draw(st.integers(2, 20)), draw(st.integers(1, 3))
    scores = draw(hnp.arrays(np.float64, (num, attributes), elements=st.integers(-4, 4).map(float)))
    labels = draw(hnp.arrays(np.uint8, (num, attributes), elements=st.integers(0, 1)))
    labels[0], labels[1] = 0, 1
    return scores, labels


@settings(max_examples=40)
@given(readings(), st.integers(0, 100))
def test_a_weight_is_a_number_of_copies(reading: tuple[Array, Array], seed: int) -> None:
    scores, labels = reading
    counts = draw_resamples([""] * len(scores), 5, seed).counts
    for at in range(scores.shape[1]):
        weighted = precisions(scores[:, at], counts * labels[:, at], counts)
        for value, count in zip(weighted, counts.astype(int), strict=True):
            rows = np.repeat(np.arange(len(scores)), count)
            expected = average_precisions(scores[rows, at : at + 1], labels[rows, at : at + 1])[0]
            np.testing.assert_allclose(value, expected, rtol=0, atol=1e-12)


@settings(max_examples=40)
@given(readings(), st.integers(0, 100))
def test_an_interval_of_cmap_is_that_of_resampled_clips(reading: tuple[Array, Array], seed: int) -> None:
    scores, labels = reading
    resamples = draw_resamples([""] * len(scores), 7, seed)
    values = []
    for count in resamples.counts.astype(int):
        rows = np.repeat(np.arange(len(scores)), count)
        values.append(class_mean_ap(scores[rows], labels[rows]))
    known = [value for value in values if not np.isnan(value)]
    low, high = resamples.map_interval(scores, labels, 0.9)
    if known:
        np.testing.assert_allclose((low, high), np.nanquantile(known, [0.05, 0.95]), rtol=0, atol=1e-9)
    assert resamples.mean_interval(np.ones(len(scores)), 0.9) == (1, 1)


@given(readings(), st.sampled_from([balanced_accuracy, f1]))
def test_no_threshold_does_better_on_validation(reading: tuple[Array, Array], measure: Any) -> None:
    scores, labels = reading[0][:, 0], reading[1][:, 0]
    best = float(measure(scores > best_threshold(scores, labels, measure), labels))
    others = [float(measure(scores > at, labels)) for at in (-np.inf, *np.unique(scores) - 0.5)]
    assert best == max(others)


@settings(max_examples=20)
@given(readings(), st.integers(0, 20))
def test_chance_holds_every_permutation(reading: tuple[Array, Array], seed: int) -> None:
    scores, labels = reading
    low, high = chance_of_strongest([scores], labels, 30, seed)
    rng = np.random.default_rng(seed)
    values = [class_mean_ap(scores, labels[rng.permutation(len(labels))]) for _ in range(30)]
    np.testing.assert_allclose((low, high), (min(values), max(values)), rtol=0, atol=1e-12)
    more = chance_of_strongest([scores, -scores], labels, 30, seed)
    assert more[0] >= low
    assert more[1] >= high
    blind = chance_of_strongest([np.zeros_like(scores)], labels, 30, seed)
    np.testing.assert_allclose(blind, labels.mean(), rtol=0, atol=1e-12)


@given(readings(), readings(), st.floats(0.1, 10))
def test_linkage_is_a_share_that_scale_and_order_leave_alone(
    one: tuple[Array, Array], two: tuple[Array, Array], scale: float
) -> None:
    (gallery, of), (query, asked) = ((scores[:, :1], labels[:, :1]) for scores, labels in (one, two))
    found, scaled = link(gallery, query, of, asked), link(gallery * scale, query * scale, of, asked)
    turned = link(gallery[::-1], query[::-1], of[::-1], asked[::-1])
    assert found is not None
    for other in (scaled, turned):
        assert other is not None
        np.testing.assert_allclose(list(other.model_dump().values()), list(found.model_dump().values()), atol=1e-9)
    assert all(0 <= value <= 1 for value in found.model_dump().values())
