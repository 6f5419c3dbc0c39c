from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from anon_tune.pareto import RungAgreement, rung_agreement
from anon_tune.trial import Trial, TrialState

Make = Callable[..., Trial]


@pytest.fixture
def measured(make_trial: Make) -> Make:
    """Build a trial with a leakage at each rung and a full one: ``measured(id, (0.7, 0.6), 0.5)``."""

    def make(name: str, rungs: Sequence[float], full: float | None, **fields: object) -> Trial:
        reports = [replace(make_trial(name, x, 0.5, full=False).reports[0], rung=k) for k, x in enumerate(rungs)]
        if full is not None:
            reports.append(replace(make_trial(name, full, 0.5).reports[0], rung=len(rungs)))
        return replace(make_trial(name, full=None, **fields), reports=tuple(reports))

    return make


def test_the_last_rung_is_held_against_the_test_split(measured: Make, make_trial: Make, make_reading: Make) -> None:
    trials = [
        measured("0000", (0.9, 0.3), 0.41),
        measured("0001", (0.1, 0.4), 0.52),
        measured("0002", (0.5, 0.6), 0.63),
        measured("0003", (0.5, 0.5), 0.64),
    ]
    # Order at the last rung 1 2 4 3, in full 1 2 3 4: 1 - 6 * 2 / (4 * 15).
    assert rung_agreement(trials) == RungAgreement(pytest.approx(0.8), 4)
    # What the full score read on the validation split is not looked at.
    full = trials[0].reports[-1]
    score = replace(full.score, leakage=make_reading(full.score.leakage.value, 0.99))
    trials[0] = replace(trials[0], reports=(*trials[0].reports[:-1], replace(full, score=score)))
    assert rung_agreement(trials) == RungAgreement(pytest.approx(0.8), 4)


def test_only_complete_trials_with_both_count(measured: Make) -> None:
    counted = [measured(f"{k:04d}", (0.3 + k / 10,), 0.9 - k / 10) for k in range(3)]
    others = [
        measured("identity", (0.95,), 0.95),
        measured("black-out", (0.2,), 0.2),
        measured("0003", (0.9,), None, state=TrialState.PRUNED),
        measured("0004", (), 0.9),
        measured("0005", (math.nan,), 0.9),
        measured("0006", (0.9,), math.inf),
        measured("0007", (0.9,), 0.9, state=TrialState.FAILED),
    ]
    assert rung_agreement(counted + others) == RungAgreement(pytest.approx(-1.0), 3)
    assert rung_agreement(counted[:2] + others) is None


def test_where_all_are_alike_there_is_no_order(measured: Make) -> None:
    assert rung_agreement([measured(f"{k:04d}", (0.5,), k / 10) for k in range(4)]) is None
    assert rung_agreement([measured(f"{k:04d}", (k / 10,), 0.5) for k in range(4)]) is None
