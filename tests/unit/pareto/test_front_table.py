from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from anon_tune.pareto import FrontTable, ParetoFront
from anon_tune.trial import Cost, TrialState

KEYS = ["trial", "method", "state", "front_rank"]
KEYS += ["leakage", "leakage_floor", "leakage_ceiling", "leakage_normalized", "leakage_interval"]
KEYS += ["accuracy", "accuracy_floor", "accuracy_ceiling", "accuracy_interval"]
KEYS += ["num_repeats", "probability_on_front", "certified", "feasible", "seconds_per_frame"]
KEYS += ["seconds", "lost_s", "cpu_s", "gpu_s", "money", "params"]
EARLY = "No trial is on the front: no trial has a full score yet. Let the study go on: anon-tune resume."
COST = Cost(cpu_s=60.0, gpu_s=30.0, money=0.5)


@pytest.fixture
def trials(make_trial):
    return [
        make_trial("identity", 0.9, 0.95),
        make_trial("black-out", full=None, state=TrialState.RUNNING),
        make_trial("0000", 0.4, 0.8, params={"penalty.weight": 2.0, "penalty.on": "pixels", "odd": math.inf}),
        make_trial("0001", 0.5, 0.7),
        make_trial("0002", 0.1, 0.9, full=False, state=TrialState.PRUNED),
        make_trial("0003", math.nan, 0.9),
    ]


def test_an_empty_ledger_gives_an_empty_document():
    nothing = {"cpu_s": 0.0, "gpu_s": 0.0, "money": 0.0}
    empty = {"reference_point": None, "hypervolume": 0.0, "empty": EARLY, "cost": nothing, "lost_s": 0.0, "trials": []}
    assert FrontTable.of([]).to_json() == empty


def test_the_front_and_the_anchors_are_listed_by_leakage(trials):
    document = FrontTable.of(trials).to_json()
    assert [row["trial"] for row in document["trials"]] == ["0000", "identity", "black-out"]
    assert document["reference_point"] == {"leakage": 0.9, "accuracy": 0.2}
    assert document["hypervolume"] == ParetoFront.of(trials).hypervolume > 0
    assert document["empty"] is None


def test_a_row_has_every_key_and_its_readings(trials):
    row = FrontTable.of(trials).to_json()["trials"][0]
    assert list(row) == KEYS
    assert (row["state"], row["front_rank"], row["leakage"], row["accuracy"]) == ("COMPLETE", 0, 0.4, 0.8)
    assert row["leakage_normalized"] == pytest.approx((0.4 - 0.2) / (0.9 - 0.2))
    assert row["accuracy_interval"] == pytest.approx([0.75, 0.85])
    assert row["params"] == {"penalty.weight": 2.0, "penalty.on": "pixels", "odd": None}


def test_all_lists_every_trial_and_what_has_no_full_score_is_null(trials):
    rows = {row["trial"]: row for row in FrontTable.of(trials, all_trials=True).to_json()["trials"]}
    assert set(rows) == {trial.id for trial in trials}
    assert rows["0001"]["front_rank"] == 1
    for name in ("0002", "black-out"):
        assert [rows[name][key] for key in KEYS[3:13]] == [None] * 10
    assert (rows["0003"]["front_rank"], rows["0003"]["leakage"], rows["0003"]["accuracy"]) == (None, None, 0.9)


def test_the_document_is_strict_json(trials):
    document = FrontTable.of(trials, all_trials=True).to_json()
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_a_row_has_its_cost_and_the_document_that_of_all_trials(trials):
    spent = [replace(trial, reports=tuple(replace(r, cost=COST) for r in trial.reports)) for trial in trials]
    document = FrontTable.of(spent).to_json()
    assert [document["trials"][0][name] for name in ("cpu_s", "gpu_s", "money")] == [60.0, 30.0, 0.5]
    assert document["cost"] == {"cpu_s": 300.0, "gpu_s": 150.0, "money": 2.5}  # of the five that were measured
    assert (document["trials"][-1]["trial"], document["trials"][-1]["cpu_s"]) == ("black-out", 0.0)


def test_seconds_per_frame_are_those_of_the_score_or_null(trials):
    (report,) = trials[3].reports
    unknown = replace(report, score=replace(report.score, seconds_per_frame=math.nan))
    trials[3] = replace(trials[3], reports=(unknown,))
    rows = {
        row["trial"]: row["seconds_per_frame"] for row in FrontTable.of(trials, all_trials=True).to_json()["trials"]
    }
    assert (rows["0000"], rows["0001"], rows["black-out"]) == (0.004, None, None)


def test_a_row_says_whether_a_trial_keeps_the_constraints(trials):
    (report,) = trials[2].reports
    trials[2] = replace(trials[2], reports=(replace(report, violation=0.1),))
    rows = {row["trial"]: row for row in FrontTable.of(trials, all_trials=True).to_json()["trials"]}
    assert [rows[name]["feasible"] for name in ("identity", "black-out", "0000", "0001")] == [True, True, False, True]
    assert (rows["0000"]["front_rank"], rows["0001"]["front_rank"]) == (1, 0)
