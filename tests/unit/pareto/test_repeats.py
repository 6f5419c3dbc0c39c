from __future__ import annotations

import math

import pytest

from anon_tune.errors import StudyError
from anon_tune.pareto import (
    FrontTable,
    ParetoFront,
    attainment,
    front_candidates,
    growth,
    judged_scores,
    repeats_needed,
)
from anon_tune.trial import TrialState


def test_a_repeated_trial_is_judged_by_its_repeats_alone(make_trial, make_reading):
    repeats = [(make_reading(0.5, 0.6, ceiling=0.8), 0.7), (make_reading(0.6, 0.8, ceiling=0.9), 0.8)]
    trial = make_trial("0000", 0.1, 0.99, repeats=repeats)
    score = judged_scores([trial])["0000"]
    assert (score.leakage.value, score.accuracy.value) == pytest.approx((0.55, 0.75))
    assert (score.leakage.validation, score.leakage.ceiling) == pytest.approx((0.7, 0.85))
    assert score.attackers == pytest.approx({"frame": 0.55})
    assert score.seconds == 4.0
    assert judged_scores([make_trial("0001", 0.1, 0.99)])["0001"].leakage.value == 0.1


def test_an_interval_joins_clips_and_seeds(make_trial):
    # Every reading has a bootstrap interval of 0.05 to either side. Leakage spreads by s = 0.02 in both trials.
    wide = make_trial("0000", 0.5, 0.5, repeats=[(0.48, 0.7), (0.50, 0.7), (0.52, 0.7)])
    also = make_trial("0001", 0.5, 0.5, repeats=[(0.58, 0.7), (0.60, 0.7), (0.62, 0.7)])
    score = judged_scores([wide, also])["0000"]
    half = math.hypot(0.05, 1.96 * 0.02 / math.sqrt(3))
    assert (score.leakage.low, score.leakage.high) == pytest.approx((0.5 - half, 0.5 + half))
    assert (score.accuracy.low, score.accuracy.high) == pytest.approx((0.65, 0.75))

    # The spread is the study's: a trial whose repeats happen to agree has an interval all the same.
    calm = make_trial("0001", 0.5, 0.5, repeats=[(0.6, 0.7)] * 3)
    pooled = judged_scores([wide, calm])["0001"].leakage
    assert pooled.high - pooled.value == pytest.approx(math.hypot(0.05, 1.96 * 0.02 / math.sqrt(2) / math.sqrt(3)))
    anchor = make_trial("black-out", 0.2, 0.2, repeats=[(0.2, 0.2)] * 3)
    assert judged_scores([wide, anchor])["0000"] == judged_scores([wide])["0000"]


@pytest.mark.parametrize(("step", "count"), [(0.0, 3), (0.03, 6), (0.2, 8)])
def test_repeats_are_needed_until_seeds_matter_half_as_much_as_clips(make_trial, step, count):
    # Intervals over clips are 0.05 wide on each side: a deviation of 0.03 takes (1.96 * 0.03 / 0.025)^2 = 5.5.
    repeats = [(0.7, 0.5 - step), (0.7, 0.5), (0.7, 0.5 + step)]
    trial = make_trial("0000", 0.5, 0.5, repeats=repeats)
    needed = repeats_needed([trial])
    assert (needed.count, needed.clips) == (count, pytest.approx(0.05))
    assert needed.spread == pytest.approx(step)
    assert needed.objective == ("accuracy" if step else "leakage")
    # Later repeats change nothing, nor do trials that have fewer, nor anchors.
    later = make_trial("0000", 0.5, 0.5, repeats=[*repeats, (0.1, 0.9), (0.9, 0.1)])
    fewer, anchor = make_trial("0001", repeats=[(0.0, 0.9)] * 2), make_trial("identity", repeats=[(0.0, 0.9)] * 3)
    assert repeats_needed([later, fewer, anchor]) == needed
    assert repeats_needed([fewer, anchor]) is None


@pytest.mark.parametrize("step", [0.01, 0.3])
def test_repeats_are_needed_for_the_objective_that_seeds_change_most(make_trial, step):
    # Both objectives ask for the fewest repeats, or both for the most; accuracy would ask for more.
    needed = repeats_needed([make_trial("0000", repeats=[(0.5 + s * step / 2, 0.5 + s * step) for s in (-1, 0, 1)])])
    assert (needed.objective, needed.count) == ("accuracy", 3 if step == 0.01 else 8)


def test_only_repeated_trials_and_anchors_stand_on_a_verified_front(make_trial):
    trials = [
        make_trial("identity", 0.9, 0.95),
        make_trial("0000", 0.3, 0.9, repeats=[(0.4, 0.8), (0.4, 0.8)]),
        make_trial("0001", 0.2, 0.94),
        make_trial("0002", 0.85, 0.3),
    ]
    single = ParetoFront.of([t if t.id != "0000" else make_trial("0000", 0.3, 0.9) for t in trials])
    assert (single.front_ranks, single.is_verified, single.probabilities) == (
        {"identity": 0, "0000": 1, "0001": 0, "0002": 2},
        False,
        {},
    )
    front = ParetoFront.of(trials)
    assert front.is_verified
    assert [t.id for t in front.members] == ["0000", "identity"]
    assert front.front_ranks == {"identity": 0, "0000": 0, "0001": 1, "0002": 2}
    assert front.hypervolume == pytest.approx((0.9 - 0.4) * (0.8 - 0.2))
    assert front.probabilities.keys() == {"identity", "0000"}
    assert front.pick(0.5).id == "0000"
    with pytest.raises(StudyError, match=r"lowest available is 0\.4000 \(trial 0000\)"):
        front.pick(0.35)
    assert growth(trials)[-1].hypervolume == front.hypervolume


def test_candidates_are_two_ranks_and_whoever_means_let_in(make_trial):
    names = ["0000", "0001", "0002", "0003"]
    trials = [make_trial(name, 0.4 + 0.1 * i, 0.9 - 0.1 * i) for i, name in enumerate(names)]
    trials.append(make_trial("identity", 0.9, 0.2))
    assert [t.id for t in front_candidates(trials)] == ["0000", "0001", "identity"]
    trials[0] = make_trial("0000", 0.4, 0.9, repeats=[(0.75, 0.5)])  # was lucky
    assert [t.id for t in front_candidates(trials)] == ["0000", "0001", "0002", "identity"]
    trials.append(make_trial("0004", 0.1, 0.99, full=False, state=TrialState.PRUNED))
    assert "0004" not in {t.id for t in front_candidates(trials)}


def test_probabilities_tell_a_clear_case_from_a_tie(make_trial):
    def repeated(name, leakage, accuracy):
        return make_trial(name, leakage, accuracy, repeats=[(leakage, accuracy)] * 3)

    clear = ParetoFront.of([repeated("0000", 0.3, 0.9), repeated("0001", 0.8, 0.4)]).probabilities
    assert clear == {"0000": 1.0, "0001": 0.0}
    # Two trials that are truly alike: each dominates the other in a quarter of the draws.
    tie = ParetoFront.of([repeated("0000", 0.5, 0.7), repeated("0001", 0.5, 0.7)]).probabilities
    assert list(tie.values()) == pytest.approx([0.75, 0.75], abs=0.05)


def test_attainment_surfaces_are_the_fronts_that_many_repeats_reach(make_trial):
    trials = [
        make_trial("0000", 0.1, 0.9, repeats=[(0.3, 0.5), (0.4, 0.5), (0.5, 0.5)]),
        make_trial("0001", 0.1, 0.9, repeats=[(0.7, 0.9), (0.7, 0.8), (0.7, 0.7)]),
        make_trial("0002", 0.1, 0.9),
    ]
    surfaces = attainment(trials)
    assert surfaces.keys() == {10, 50, 90}
    assert surfaces[10].tolist() == [[0.3, 0.5], [0.7, 0.9]]
    assert surfaces[50].tolist() == [[0.4, 0.5], [0.7, 0.8]]
    assert surfaces[90].tolist() == [[0.5, 0.5], [0.7, 0.7]]
    assert attainment(trials[2:]) == {}
    assert attainment([make_trial("0000", 0.1, 0.9, repeats=[(0.3, 0.5)])]) == {}
    assert attainment([*trials, make_trial("0003", 0.1, 0.9, repeats=[(math.nan, 0.5)] * 3)]) == {}


def test_the_document_says_how_sure_a_place_is(make_trial):
    trials = [
        make_trial("identity", 0.9, 0.95),
        make_trial("0000", 0.3, 0.9, repeats=[(0.4, 0.8)] * 2),
        make_trial("0001", 0.2, 0.94),
    ]
    rows = {row["trial"]: row for row in FrontTable.of(trials, all_trials=True).to_json()["trials"]}
    assert [rows[n]["num_repeats"] for n in ("identity", "0000", "0001")] == [0, 2, 0]
    assert rows["0000"]["probability_on_front"] == 1.0
    assert rows["0001"]["probability_on_front"] is None
    assert rows["0000"]["leakage"] == pytest.approx(0.4)
    single = FrontTable.of([trials[0], trials[2]]).to_json()["trials"]
    assert [row["probability_on_front"] for row in single] == [None, None]
