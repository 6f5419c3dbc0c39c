from __future__ import annotations

import numpy as np
import pytest

from anon_tune.certificate import Linkage
from anon_tune.evaluation.linkage import link

LABELS = np.array([[1, 0], [0, 1], [1, 1]], np.uint8)


def linked(gallery: list[list[float]], query: list[list[float]], of: np.ndarray, asked: np.ndarray) -> Linkage:
    found = link(np.array(gallery), np.array(query), of, asked)
    assert found is not None
    return found


def test_a_query_that_looks_like_its_own_is_found_first() -> None:
    places = [[3.0, 0.0], [0.0, 3.0], [-3.0, -3.0]]
    found = linked(places, places, LABELS, LABELS)
    assert (found.rank1, found.mean_ap) == (1, 1)
    assert found.rank1_floor == pytest.approx(1 / 3)
    assert found.mean_ap_floor == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)


def test_average_precision_by_hand() -> None:
    gallery = [[1.0, 0.0], [0.9, 0.4], [0.0, 1.0], [-1.9, -1.4]]
    # Both sets are centred on 0. By similarity to the first query the clips are 0, 1, 2, 3.
    query = [[1.0, -0.2], [-1.0, 0.2]]
    of = np.array([[0], [1], [0], [1]], np.uint8)
    found = linked(gallery, query, of, np.array([[0], [1]], np.uint8))
    # First query: relevant at ranks 1 and 3. Second, the other way round: 3, 2, 1, 0 and relevant at 1 and 3.
    assert found.mean_ap == pytest.approx((1 + 2 / 3) / 2)
    assert found.rank1 == 1


def test_what_looks_the_same_is_found_by_chance() -> None:
    same = [[0.3, 0.1]] * 3
    found = linked(same, same, LABELS, LABELS)
    assert found.rank1 == pytest.approx(found.rank1_floor)
    assert found.mean_ap == pytest.approx(1 / 3)


def test_queries_without_a_relevant_clip_are_left_out() -> None:
    places = np.array([[3.0, 0.0], [0.0, 3.0], [-3.0, -3.0]])
    strangers = np.array([[0, 0], [0, 1], [0, 0]], np.uint8)
    assert link(places, places, LABELS, np.zeros((3, 2), np.uint8)) is None
    found = link(places, places, LABELS, strangers)
    assert found is not None
    assert found.rank1 == 1


def test_the_floor_is_the_mean_of_random_orders() -> None:
    rng = np.random.default_rng(0)
    of, asked = (rng.integers(2, size=(n, 2)).astype(np.uint8) for n in (12, 400))
    found = linked(rng.standard_normal((12, 40)).tolist(), rng.standard_normal((400, 40)).tolist(), of, asked)
    assert found.mean_ap == pytest.approx(found.mean_ap_floor, abs=0.04)
    assert found.rank1 == pytest.approx(found.rank1_floor, abs=0.08)
