from __future__ import annotations

import math
from dataclasses import replace

import pytest

from anon_tune.trial import ANCHORS, OBJECTIVES, Reading, RungReport, Score, Trial, TrialState, losses

READING = Reading(0.625, 0.25, 1.0, 0.5, 0.75, 0.5)
SCORE = Score(True, READING, READING, {}, {}, 0.1, 8, 4, 0, 1.0)


def report(rung: int, full: bool) -> RungReport:
    return RungReport("0000", rung, 10 * rung, replace(SCORE, full=full), (), 1.0, "here", "")


def trial(*reports: RungReport, method: str = "adversarial") -> Trial:
    return Trial("0000", 0, method, {}, "0" * 16, TrialState.RUNNING, reports)


def test_states_are_final_or_not() -> None:
    assert [s.value for s in TrialState if s.is_final] == ["COMPLETE", "PRUNED", "FAILED"]


def test_a_normalized_reading_is_zero_at_the_floor_and_one_at_the_ceiling() -> None:
    assert READING.normalized == 0.5
    assert replace(READING, value=0.25).normalized == 0
    assert replace(READING, value=1.0).normalized == 1
    assert math.isnan(replace(READING, ceiling=0.25).normalized)
    assert math.isnan(replace(READING, ceiling=0.1).normalized)


@pytest.mark.parametrize("objective", ["leakage", "accuracy"])
@pytest.mark.parametrize("field", ["value", "validation"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_one_bad_number_makes_a_score_not_finite(objective: str, field: str, bad: float) -> None:
    assert SCORE.is_finite
    reading = replace(READING, **{field: bad})
    assert not replace(SCORE, **{objective: reading}).is_finite


def test_losses_follow_the_directions_of_the_objectives() -> None:
    better, worse = losses(leakage=0.2, accuracy=0.9), losses(leakage=0.3, accuracy=0.8)
    assert all(b < w for b, w in zip(better, worse, strict=True))
    assert [(o.name, o.minimize) for o in OBJECTIVES] == [("leakage", True), ("accuracy", False)]


def test_a_rung_score_is_never_the_score_of_a_trial() -> None:
    assert (trial().rung, trial().score) == (None, None)
    early = trial(report(0, full=False), report(1, full=False))
    assert (early.rung, early.score) == (1, None)
    late = trial(report(0, full=False), report(2, full=True))
    assert late.rung == 2
    assert late.score is late.reports[-1].score


def test_anchors_are_known_by_their_method() -> None:
    assert [trial(method=m).is_anchor for m in (*ANCHORS, "adversarial")] == [True, True, False]
