from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from anon_tune.pareto import rung_agreement
from anon_tune.trial import Reading, RungReport, Score, Trial, TrialState

leakages = st.floats(0, 1) | st.sampled_from([0.0, 0.25, 0.5])  # ties are common on few clips


def trial(number: int, *values: float) -> Trial:
    reports = []
    for rung, value in enumerate(values):
        full = rung == len(values) - 1
        at = Reading(value, 0.1, 0.9, value, value, value)
        score = Score(full, at, Reading(0.5, 0.1, 0.9, 0.4, 0.6, 0.5), {}, {}, 0.0, 1, 1, 0, 0.1)
        reports.append(RungReport(f"{number:04d}", rung, rung + 1, score, (), 1.0, "", ""))
    return Trial(f"{number:04d}", number, "adversarial", {}, "", TrialState.COMPLETE, tuple(reports))


@given(st.lists(st.tuples(leakages, leakages), min_size=3, max_size=12), st.randoms())
def test_it_is_spearmans_correlation_in_any_order(pairs: list[tuple[float, float]], random: object) -> None:
    trials = [trial(number, *pair) for number, pair in enumerate(pairs)]
    found = rung_agreement(trials)
    if any(len(set(values)) == 1 for values in zip(*pairs, strict=True)):
        assert found is None
        return
    assert found is not None
    assert found.num_trials == len(pairs)
    assert math.isclose(found.correlation, float(spearmanr(np.array(pairs)).statistic), abs_tol=1e-9)
    random.shuffle(trials)  # type: ignore[attr-defined]
    again = rung_agreement(trials)
    assert again is not None
    assert math.isclose(again.correlation, found.correlation, abs_tol=1e-9)
