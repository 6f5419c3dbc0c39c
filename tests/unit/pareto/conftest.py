"""Trials with given readings."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest

from anon_tune.trial import ANCHORS, Reading, Repeat, RungReport, Score, Trial, TrialState

FLOOR, CEILING = 0.2, 0.9


def reading(value: float, validation: float | None = None, floor: float = FLOOR, ceiling: float = CEILING) -> Reading:
    return Reading(value, floor, ceiling, value - 0.05, value + 0.05, value if validation is None else validation)


def score(leakage: Reading, accuracy: Reading, full: bool = True) -> Score:
    return Score(full, leakage, accuracy, {"frame": leakage.value}, {"skin": leakage.value}, 0.1, 80, 40, 0, 2.0, 0.004)


@pytest.fixture
def make_trial() -> Callable[..., Trial]:
    """Build a trial: ``make_trial(id, leakage, accuracy)``; a reading may be given for a number."""

    def make(
        name: str,
        leakage: float | Reading = math.nan,
        accuracy: float | Reading = math.nan,
        *,
        state: TrialState = TrialState.COMPLETE,
        full: bool | None = True,
        started: float = 0.0,
        ended: float = 0.0,
        params: dict[str, float | int | str | bool] | None = None,
        repeats: Sequence[tuple[float | Reading, float | Reading]] = (),
    ) -> Trial:
        def scored(pair: tuple[float | Reading, float | Reading], full: bool) -> Score:
            return score(*(value if isinstance(value, Reading) else reading(value) for value in pair), full)

        once = () if full is None else (scored((leakage, accuracy), full),)
        reports = tuple(RungReport(name, 0, 160, one, (), 5.0, "node", "") for one in once)
        anchor = name in ANCHORS
        return Trial(
            id=name,
            number=-1 if anchor else int(name),
            method=name if anchor else "adversarial",
            params=params or {},
            fingerprint="0" * 16,
            state=state,
            reports=reports,
            seconds=5.0,
            started=started,
            ended=ended,
            repeats=tuple(Repeat(k, 0, scored(pair, True)) for k, pair in enumerate(repeats, start=1)),
        )

    return make


@pytest.fixture
def make_reading() -> Callable[..., Reading]:
    """Build a reading: ``make_reading(value, validation)``."""
    return reading
