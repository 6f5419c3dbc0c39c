from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from anon_tune.evaluation.thresholds import balanced_accuracy, best_threshold, f1, read_attribute

LABELS = np.array([0, 0, 1, 1, 1], np.uint8)
SCORES = np.array([0.1, 0.4, 0.35, 0.8, 0.9])


def test_measures_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        yes, labels = rng.random(9) < 0.5, np.append(rng.integers(2, size=7), [0, 1]).astype(np.uint8)
        assert balanced_accuracy(yes, labels) == pytest.approx(balanced_accuracy_score(labels, yes))
        assert f1(yes, labels) == pytest.approx(f1_score(labels, yes))


def test_a_threshold_lies_between_validation_scores() -> None:
    assert best_threshold(SCORES, LABELS, balanced_accuracy) == pytest.approx(0.6)  # 2 of 3 and 2 of 2
    assert best_threshold(SCORES, LABELS, f1) == pytest.approx(0.225)  # 3 of 3, one too many


def test_an_attacker_that_sees_nothing_says_always_yes() -> None:
    flat = np.zeros(5)
    one = read_attribute("hat", (flat, LABELS), (flat, LABELS))
    assert (one.auc, one.balanced_accuracy) == (0.5, 0.5)
    assert one.ap == pytest.approx(one.ap_floor)
    assert one.ap_floor == pytest.approx(0.6)
    assert one.f1 == pytest.approx(one.f1_always_yes)
    assert one.f1_always_yes == pytest.approx(0.75)
    assert one.num_positives == 3


def test_thresholds_come_from_validation_and_values_from_test() -> None:
    one = read_attribute("hat", (SCORES, LABELS), (SCORES - 10, LABELS))
    assert one.auc == pytest.approx(5 / 6)
    assert (one.balanced_accuracy, one.f1) == (0.5, 0)  # every test score lies below the thresholds
    perfect = read_attribute("hat", (LABELS * 1.0, LABELS), (LABELS * 1.0, LABELS))
    assert (perfect.ap, perfect.auc, perfect.balanced_accuracy, perfect.f1) == (1, 1, 1, 1)
