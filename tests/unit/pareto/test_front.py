from __future__ import annotations

import math
import pickle
import re
from dataclasses import replace

import numpy as np
import pytest

from anon_tune.errors import StudyError, UsageError
from anon_tune.pareto import Cause, EmptyFront, FrontTable, Limit, ParetoFront, ReferencePoint, front_candidates, growth
from anon_tune.trial import Cost, TrialState


def test_an_empty_study_has_an_empty_front():
    front = ParetoFront.of([])
    assert (front.members, front.hypervolume, front.reference_point) == ((), 0.0, None)
    assert growth([]) == []


def test_members_come_by_leakage_and_anchors_stand_among_them(make_trial):
    trials = [
        make_trial("identity", 0.9, 0.95),
        make_trial("black-out", 0.2, 0.2),
        make_trial("0000", 0.7, 0.8),
        make_trial("0001", 0.4, 0.7),
        make_trial("0002", 0.75, 0.6),
    ]
    front = ParetoFront.of(trials)
    assert [t.id for t in front.members] == ["black-out", "0001", "0000", "identity"]
    assert front.front_ranks == {"identity": 0, "black-out": 0, "0000": 0, "0001": 0, "0002": 1}


def test_a_notebook_shows_every_trial_at_its_place(make_trial):
    places = {"identity": (0.9, 0.95), "0000": (0.5, 0.8), "0001": (0.7, 0.4)}
    page = ParetoFront.of([make_trial(name, *place) for name, place in places.items()])._repr_html_()
    dots = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="4" fill="(#\w+)"><title>(\w+):', page)
    assert {name for *_, name in dots} == {*places} and len(dots) == 3
    assert [name for *_, name in sorted(dots, key=lambda dot: float(dot[0]))] == ["0000", "0001", "identity"]
    assert [name for *_, name in sorted(dots, key=lambda dot: float(dot[1]))] == [
        "identity",
        "0000",
        "0001",
    ]
    colours = {name: colour for _, _, colour, name in dots}
    assert colours["0000"] == colours["identity"] != colours["0001"]


def test_hypervolume_is_in_natural_units_against_the_raw_leakage_and_chance(make_trial):
    trials = [make_trial("identity", 0.9, 0.95), make_trial("0000", 0.5, 0.8), make_trial("0001", 0.3, 0.4)]
    front = ParetoFront.of(trials)
    assert front.reference_point == ReferencePoint(leakage=0.9, accuracy=0.2)
    assert front.hypervolume == pytest.approx((0.9 - 0.5) * (0.8 - 0.2) + (0.5 - 0.3) * (0.4 - 0.2))
    assert front.num_beyond_reference == 0


def test_trained_trials_beyond_the_reference_are_counted_and_add_nothing(make_trial):
    trials = [make_trial("identity", 0.9, 0.95), make_trial("0000", 0.95, 0.99), make_trial("0001", 0.1, 0.2)]
    front = ParetoFront.of(trials)
    assert front.num_beyond_reference == 2
    assert front.hypervolume == 0


def test_the_identity_anchor_sets_the_reference_whatever_its_place(make_trial, make_reading):
    other = make_trial("0000", make_reading(0.5, ceiling=0.7), make_reading(0.6, floor=0.1))
    identity = make_trial("identity", 0.9, 0.95)
    assert ParetoFront.of([other]).reference_point == ReferencePoint(0.7, 0.1)
    assert ParetoFront.of([other, identity]).reference_point == ReferencePoint(0.9, 0.2)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_score_that_is_not_finite_is_never_on_a_front(make_trial, make_reading, bad, index):
    good = [make_trial("0000", 0.5, 0.8), make_trial("0001", 0.4, 0.7)]
    for trial in (
        make_trial("0002", bad, 0.9),
        make_trial("0002", 0.1, bad),
        make_trial("0002", make_reading(0.1, bad), 0.9),
    ):
        front = ParetoFront.of([*good[:index], trial, *good[index:]])
        assert [t.id for t in front.members] == ["0001", "0000"]
        assert front.hypervolume == ParetoFront.of(good).hypervolume


def test_rung_scores_and_trials_that_are_not_complete_are_left_out(make_trial):
    trials = [
        make_trial("0000", 0.1, 0.9, full=False, state=TrialState.PRUNED),
        make_trial("0001", 0.1, 0.9, full=False, state=TrialState.RUNNING),
        make_trial("0002", 0.1, 0.9, state=TrialState.FAILED),
        make_trial("0003", full=None, state=TrialState.WAITING),
    ]
    assert ParetoFront.of(trials).trials == ()


def test_the_front_is_frozen_and_survives_pickling(make_trial):
    front = ParetoFront.of([make_trial("0000", 0.5, 0.8)])
    assert pickle.loads(pickle.dumps(front)) == front
    with pytest.raises(AttributeError):
        front.hypervolume = 1.0


def test_a_pick_has_the_best_validation_accuracy_not_the_best_test_accuracy(make_trial, make_reading):
    lucky = make_trial("0000", 0.4, make_reading(0.9, validation=0.6))
    better = make_trial("0001", 0.4, make_reading(0.7, validation=0.8))
    assert ParetoFront.of([lucky, better]).pick(0.5).id == "0001"


def test_ties_go_to_the_lower_validation_leakage_and_then_to_the_id(make_trial, make_reading):
    trials = [make_trial("0002", make_reading(0.3, 0.45), 0.8), make_trial("0001", make_reading(0.4, 0.35), 0.8)]
    assert ParetoFront.of(trials).pick(0.5).id == "0001"
    trials.append(make_trial("0000", make_reading(0.4, 0.35), 0.8))
    assert ParetoFront.of(trials).pick(0.5).id == "0000"


def test_a_pick_keeps_the_limit_on_both_splits(make_trial, make_reading):
    trials = [
        make_trial("0000", make_reading(0.4, validation=0.6), 0.9),
        make_trial("0001", make_reading(0.6, validation=0.4), 0.9),
        make_trial("0002", make_reading(0.5, validation=0.5), 0.3),
    ]
    assert ParetoFront.of(trials).pick(0.5).id == "0002"


def test_anchors_are_never_picked_and_the_error_names_the_lowest_leakage(make_trial, make_reading):
    trials = [make_trial("black-out", 0.2, 0.2), make_trial("0007", make_reading(0.5, validation=0.55), 0.9)]
    with pytest.raises(StudyError, match=r"got 0\.3\. The lowest available is 0\.5500 \(trial 0007\)\."):
        ParetoFront.of(trials).pick(0.3)
    with pytest.raises(StudyError, match=r"No trial is on the front: no trial has a full score yet"):
        ParetoFront.of(trials[:1]).pick(0.3)


def test_progress_follows_the_order_of_ending_and_ends_at_the_fronts_hypervolume(make_trial):
    trials = [
        make_trial("identity", 0.9, 0.95, started=100, ended=110),
        make_trial("0000", 0.5, 0.8, started=110, ended=140),
        make_trial("0001", 0.6, 0.5, started=110, ended=120),
        make_trial("0002", 0.1, 0.9, full=False, state=TrialState.PRUNED, started=110, ended=130),
        make_trial("0003", 0.1, 0.9, full=False, state=TrialState.RUNNING, started=110, ended=150),
    ]
    entries = growth(trials)
    assert [(e.num_trials, e.seconds) for e in entries] == [(0, 10), (1, 20), (2, 30), (3, 40)]
    assert [e.hypervolume for e in entries] == pytest.approx([0, 0.3 * 0.3, 0.3 * 0.3, 0.4 * 0.6])
    assert entries[-1].hypervolume == ParetoFront.of(trials).hypervolume


def test_against_another_studys_reference_point_anchors_add_nothing(make_trial):
    anchors = [make_trial("identity", 0.9, 0.95), make_trial("black-out", 0.2, 0.25)]
    trial = make_trial("0000", 0.5, 0.8, ended=10)
    other = ReferencePoint(leakage=1.0, accuracy=0.1)
    assert growth([*anchors, trial], other)[-1].hypervolume == pytest.approx(0.5 * 0.7)
    assert growth(anchors, other)[-1].hypervolume == 0


def breaking(trial, violation=0.2):
    """Let a trial's last report break a constraint."""
    *before, last = trial.reports
    return replace(trial, reports=(*before, replace(last, violation=violation)))


def test_a_trial_that_breaks_a_constraint_is_not_on_the_front_and_covers_nothing(make_trial):
    kept = [make_trial("identity", 0.9, 0.95), make_trial("black-out", 0.2, 0.2), make_trial("0000", 0.5, 0.7)]
    broken = breaking(make_trial("0001", 0.3, 0.9))
    front = ParetoFront.of([*kept, broken])
    assert front.front_ranks == {**ParetoFront.of(kept).front_ranks, "0001": 1}
    assert [t.id for t in front.members] == ["black-out", "0000", "identity"]
    assert front.hypervolume == ParetoFront.of(kept).hypervolume
    assert broken in front.trials and broken not in front.eligible
    assert growth([*kept, broken])[-1].hypervolume == front.hypervolume
    assert broken not in front_candidates([*kept, broken])


def test_an_anchor_that_breaks_a_constraint_is_measured_again_and_not_on_the_front(make_trial):
    anchors = [breaking(make_trial("identity", 0.9, 0.95)), breaking(make_trial("black-out", 0.2, 0.2))]
    kept = make_trial("0000", 0.5, 0.7)
    front = ParetoFront.of([*anchors, kept])
    assert front.front_ranks == {"identity": 1, "black-out": 1, "0000": 0}
    assert [t.id for t in front.members] == ["0000"]
    assert front.reference_point is not None and front.empty is None
    assert [t.id for t in front_candidates([*anchors, kept])] == ["identity", "black-out", "0000"]


def test_why_no_trial_is_on_the_front(make_trial):
    anchors = [make_trial("identity", 0.9, 0.95), make_trial("black-out", 0.2, 0.2)]
    failed = [
        replace(make_trial(f"{n:04d}", full=None, state=TrialState.FAILED), number=n, reason=f"w{n}: gone. Look.")
        for n in (1, 0)
    ]
    running = make_trial("0002", 0.4, 0.5, full=False, state=TrialState.RUNNING)
    broken = [breaking(make_trial("0003", 0.3, 0.9), 0.4), breaking(make_trial("0004", 0.3, 0.9), 0.1)]
    said = {
        Cause.EARLY: ([*failed, running], "no trial has a full score yet"),
        Cause.FAILED: (failed, "all 2 trials so far failed, 0000 first: w0: gone. Look"),
        Cause.INFEASIBLE: ([*failed, *broken], "all 2 trials with a full score break a constraint of the study, 0004"),
    }
    for cause, (trials, reason) in said.items():
        empty = EmptyFront.of([*anchors, *trials])
        assert empty is not None and empty.cause is cause and empty.reason.startswith(reason)
        front = ParetoFront.of([*anchors, *trials])
        assert front.empty == empty and reason in repr(front)
        assert FrontTable.of([*anchors, *trials]).to_json()["empty"] == str(empty)
        with pytest.raises(StudyError, match=reason):
            front.pick(0.99)
    assert EmptyFront.of([*anchors, *broken, make_trial("0005", 0.5, 0.7)]) is None


def test_a_trial_that_breaks_a_constraint_is_never_picked(make_trial):
    broken, kept = breaking(make_trial("0000", 0.3, 0.9)), make_trial("0001", 0.4, 0.7)
    assert ParetoFront.of([broken, kept]).pick(0.5).id == "0001"
    with pytest.raises(StudyError, match=r"lowest available is 0\.4000 \(trial 0001\)"):
        ParetoFront.of([broken, kept]).pick(0.35)
    with pytest.raises(StudyError, match="the one trial scored breaks a constraint"):
        ParetoFront.of([broken, make_trial("identity", 0.9, 0.95)]).pick(0.35)


def test_a_repeated_trial_that_breaks_a_constraint_has_no_probability(make_trial):
    kept = make_trial("0000", 0.5, 0.7, repeats=[(0.5, 0.7)] * 2)
    broken = breaking(make_trial("0001", 0.3, 0.9, repeats=[(0.3, 0.9)] * 2))
    front = ParetoFront.of([kept, broken])
    assert front.is_verified and set(front.probabilities) == {"0000"}
    assert front.front_ranks == {"0000": 0, "0001": 1}
    with pytest.raises(StudyError, match="No trial that keeps the constraints was measured again: anon-tune verify"):
        ParetoFront.of([make_trial("0000", 0.5, 0.7), broken]).pick(0.9)


def test_progress_adds_up_what_every_ended_trial_cost(make_trial):
    states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED, TrialState.RUNNING)
    trials = [make_trial(f"{i:04d}", 0.5, 0.7, state=state, ended=i) for i, state in enumerate(states)]
    trials = [replace(t, reports=tuple(replace(r, cost=Cost(10, 1, 0.5)) for r in t.reports)) for t in trials]
    assert [entry.cost for entry in growth(trials)] == [Cost(10, 1, 0.5), Cost(20, 2, 1.0), Cost(30, 3, 1.5)]


def test_an_accuracy_limit_picks_the_trial_that_leaks_least_on_validation(make_trial, make_reading):
    trials = [
        make_trial("0000", make_reading(0.30, validation=0.50), 0.8),  # leaks less on the test split only
        make_trial("0001", make_reading(0.45, validation=0.40), 0.8),
        make_trial("0002", 0.2, make_reading(0.9, validation=0.69)),  # breaks the limit on one split
        make_trial("0003", 0.2, make_reading(0.69, validation=0.9)),
        make_trial("identity", 0.1, 0.95),
    ]
    front = ParetoFront.of(trials)
    assert front.pick(accuracy_at_least=0.7).id == "0001"
    with pytest.raises(StudyError, match=r"the accuracy limit .* got 0\.9\. The highest available is 0\.8000 \(trial"):
        front.pick(accuracy_at_least=0.9)
    for limits in ({}, {"leakage_at_most": 0.5, "accuracy_at_least": 0.5}):
        with pytest.raises(UsageError):
            front.pick(**limits)


@pytest.mark.parametrize("rule", Limit)
def test_steps_lead_where_pick_leads(make_trial, make_reading, rule):
    numbers = np.random.default_rng(3).random((30, 4)).tolist()
    trials = [
        make_trial(f"{at:04}", make_reading(a, validation=b), make_reading(c, validation=d))
        for at, (a, b, c, d) in enumerate(numbers)
    ]
    pickable = ParetoFront.of(trials).pickable
    steps = pickable.steps(rule)
    strictest_first = sorted((limit for limit, _ in steps), reverse=rule is Limit.ACCURACY_AT_LEAST)
    assert len(steps) > 2 and [limit for limit, _ in steps] == strictest_first
    stricter = math.inf if rule is Limit.ACCURACY_AT_LEAST else -math.inf
    for at, (limit, trial) in enumerate(steps):
        assert pickable.pick(rule, limit).id == trial.id
        if at:
            assert pickable.pick(rule, math.nextafter(limit, stricter)).id == steps[at - 1][1].id
    with pytest.raises(StudyError):
        pickable.pick(rule, math.nextafter(steps[0][0], stricter))
