"""Repeats with any numbers and in any order, and the purpose of verifying."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import verified_fronts as benchmark
from hypothesis import given, settings
from hypothesis import strategies as st

from anon_tune.pareto import ParetoFront, attainment, front_candidates
from anon_tune.trial import Reading, Repeat, RungReport, Score, Trial, TrialState

fractions = st.floats(0, 1)
widths = st.floats(0, 0.2)


@st.composite
def scores(draw: st.DrawFn, values: st.SearchStrategy[float] = fractions) -> Score:
    readings = []
    for _ in range(2):
        value = draw(values)
        low, high = max(value - draw(widths), 0.0), min(value + draw(widths), 1.0)
        readings.append(Reading(value, 0.1, 0.9, low, high, draw(values)))
    return Score(True, readings[0], readings[1], {}, {}, 0.0, 1, 1, 0, 0.0)


@st.composite
def studies(draw: st.DrawFn, values: st.SearchStrategy[float] = fractions) -> list[Trial]:
    trials = []
    for number in range(draw(st.integers(1, 6))):
        report = RungReport(f"{number:04d}", 0, 1, draw(scores()), (), 1.0, "", "")
        again = draw(st.lists(scores(values), max_size=3))
        repeats = tuple(Repeat(k, 0, score) for k, score in enumerate(again, start=1))
        method = "identity" if number == 0 else "adversarial"
        trials.append(Trial(f"{number:04d}", number, method, {}, "", TrialState.COMPLETE, (report,), repeats=repeats))
    return trials


@settings(max_examples=50)
@given(studies(), st.randoms(use_true_random=False))
def test_order_does_not_matter(trials: list[Trial], random: object) -> None:
    shuffled = list(trials)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, two = ParetoFront.of(trials), ParetoFront.of(shuffled)
    assert (one.front_ranks, one.probabilities) == (two.front_ranks, two.probabilities)
    assert one.hypervolume == pytest.approx(two.hypervolume, abs=1e-12)
    assert one.scores == two.scores
    assert {level: s.tolist() for level, s in attainment(trials).items()} == {
        level: s.tolist() for level, s in attainment(shuffled).items()
    }


@settings(max_examples=50)
@given(studies())
def test_probabilities_are_shares_of_draws_that_each_have_a_front(trials: list[Trial]) -> None:
    front = ParetoFront.of(trials)
    assert front.probabilities.keys() == ({t.id for t in front.eligible} if front.is_verified else set())
    assert all(0 <= p <= 1 for p in front.probabilities.values())
    if front.is_verified:
        assert sum(front.probabilities.values()) >= 1 - 1e-9
        assert all(front.probabilities[t.id] == 1 for t in front.eligible if len(front.eligible) == 1)


@settings(max_examples=50)
@given(studies(fractions | st.sampled_from([math.nan, math.inf, -math.inf])))
def test_a_repeat_that_is_not_finite_keeps_a_trial_off_every_front(trials: list[Trial]) -> None:
    front = ParetoFront.of(trials)
    broken = {t.id for t in trials if not all(r.score.is_finite for r in t.repeats)}
    assert not broken & (front.front_ranks.keys() | front.probabilities.keys())
    assert not broken & {t.id for t in front_candidates(trials)}
    rest = ParetoFront.of([t for t in trials if t.id not in broken])
    assert math.isfinite(front.hypervolume)
    if front.is_verified == rest.is_verified:
        assert [t.id for t in front.members] == [t.id for t in rest.members]


@settings(max_examples=50)
@given(studies())
def test_a_mean_lies_among_its_repeats_and_within_its_interval(trials: list[Trial]) -> None:
    front = ParetoFront.of(trials)
    for trial in (t for t in trials if t.repeats):
        reading = front.scores[trial.id].leakage
        values = [r.score.leakage.value for r in trial.repeats]
        assert min(values) - 1e-12 <= reading.value <= max(values) + 1e-12
        assert 0 <= reading.low <= reading.value + 1e-12 and reading.value - 1e-12 <= reading.high <= 1


@settings(max_examples=50)
@given(studies(), st.data())
def test_once_candidates_are_repeated_a_single_measurement_is_in_none_of_the_first_two_ranks(
    trials: list[Trial], data: st.DataObject
) -> None:
    by_id = {t.id: t for t in trials}
    while missing := [t for t in front_candidates([*by_id.values()]) if not t.repeats]:
        for trial in missing:
            by_id[trial.id] = replace(trial, repeats=(Repeat(1, 0, data.draw(scores())),))
    front = ParetoFront.of([*by_id.values()])
    assert front.is_verified == any(t.repeats for t in front.trials if not t.is_anchor)
    assert all(front.front_ranks[t.id] >= 2 for t in front.trials if not t.repeats)
    assert {t.id for t in front.trials if front.front_ranks[t.id] == 0} == {t.id for t in front.members}


@pytest.mark.parametrize(("num_repeats", "least"), [(3, 2.5), (5, 3.0)])
def test_verifying_cuts_the_overstatement_of_the_hypervolume(num_repeats: int, least: float) -> None:
    result = benchmark.compare(num_studies=24, num_trials=40, num_repeats=num_repeats, noise=0.03)
    mean, cut = result["mean"], result["cut"]
    for name in ("over_true_members", "over_true_front"):
        assert mean["single"][name] > 0.01  # there is something to cut
        assert abs(mean["verified"][name]) * least <= mean["single"][name]
        assert cut[name]["smaller_in"] >= 20
        assert cut[name]["mean_difference"] > 4 * cut[name]["standard_error"]
