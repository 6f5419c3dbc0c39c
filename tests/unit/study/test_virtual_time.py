"""Whole studies in virtual time: variants of rungs, resuming, constraints, stop rules."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from anon_tune.search.parameters import StopRules
from anon_tune.search.rungs import Rung
from anon_tune.study.spending import Node, Prices
from anon_tune.trial import Cost, Reading, RungJob, RungReport, Score, Trial, TrialState

Build = Callable[..., Any]
SCORE = Score(False, *[Reading(0.5, 0.2, 0.9, 0.4, 0.6, 0.5)] * 2, {}, {}, 0.1, 1, 1, 0, 0.1, 0.01)
PROMOTE = {"rungs": {"min_steps": 10, "factor": 3, "promote": True}}
BRACKETS = {"rungs": {"min_steps": 10, "factor": 3, "brackets": 2}}
MIXED = {
    "penalty.weight.kind": {"choices": ["constant", "linear"]},
    "penalty.weight.start": {"low": 0.1, "high": 10.0, "log": True},
    "penalty.weight.end": {"low": 0.1, "high": 10.0, "log": True, "when": {"penalty.weight.kind": ["linear"]}},
}


def ours(trials: list[Trial]) -> list[Trial]:
    return [t for t in trials if not t.is_anchor]


def agreements(run: Any) -> dict[str, float]:
    """Return what the ledger says of rungs and full scores, by the trial that was complete then."""
    table = pd.read_parquet(run.folder / "ledger")
    known = table[table["rung_correlation"].notna()]
    return dict(zip(known["trial"], known["rung_correlation"], strict=True))


def outcome(trials: list[Trial]) -> list[tuple[Any, ...]]:
    return [(t.id, dict(t.params), t.state, t.reason, [(r.rung, r.score) for r in t.reports]) for t in trials]


@pytest.mark.parametrize(
    "study", [{}, PROMOTE, BRACKETS, {"rungs": False}], ids=["stop", "promote", "brackets", "none"]
)
@pytest.mark.parametrize("num_workers", [1, 3])
def test_every_variant_ends_with_every_trial_in_a_final_state(
    virtual_study: Build, study: dict[str, Any], num_workers: int
) -> None:
    run = virtual_study(study=study, num_trials=30)
    trials = run.run(num_workers)
    assert [t.number for t in ours(trials)] == list(range(30))
    assert all(t.state.is_final for t in trials)
    states = Counter(t.state for t in ours(trials))
    assert states[TrialState.COMPLETE] >= 3
    assert (states[TrialState.PRUNED] > 0) == (study != {"rungs": False})
    names = {"COMPLETE": "COMPLETE", "PRUNED": "PRUNED", "FAILED": "FAIL"}
    recorded = {t.user_attrs["trial"]: t for t in run.record.study.trials}
    assert {i: t.state.name for i, t in recorded.items()} == {t.id: names[t.state.value] for t in ours(trials)}
    pruned = [t for t in ours(trials) if t.state is TrialState.PRUNED]
    assert all(recorded[t.id].user_attrs["rung"] == t.rung for t in pruned)
    # No rung of a trial is done twice, and none after it was stopped.
    assert len({(j.trial_id, j.rung) for j in run.body.jobs}) == len(run.body.jobs)


@pytest.mark.parametrize(
    ("sampler", "study", "share"),
    [
        ("random", {}, 0.1),
        ("qmc", PROMOTE, 0.5),
        ("grid", BRACKETS, 0.9),
        ("tpe", {}, 0.9),
        ("tpe", PROMOTE, 0.1),
        ("nsga2", PROMOTE, 0.9),
        ("nsga2", BRACKETS, 0.5),
    ],
    ids=str,
)
def test_a_resumed_study_goes_on_as_if_it_had_never_stopped(
    virtual_study: Build, sampler: str, study: dict[str, Any], share: float
) -> None:
    options = {"study": study, "sampler": sampler, "num_trials": 24, "seed": 3}
    whole = virtual_study("whole", **options)
    expected = outcome(whole.run())
    torn = virtual_study("torn", **options)
    half = torn.run(until_s=share * whole.clock.now)
    assert not all(t.state.is_final for t in half)
    assert outcome(torn.run()) == expected
    assert agreements(torn) == agreements(whole)


@pytest.mark.parametrize("search", [None, MIXED], ids=["numeric", "conditional"])
def test_a_resumed_model_proposes_what_it_would_have(virtual_study: Build, search: Any) -> None:
    whole = virtual_study("whole", search=search, sampler="auto", num_trials=12)
    expected = outcome(whole.run())
    assert whole.proposer.kind == ("gp" if search is None else "tpe")
    torn = virtual_study("torn", search=search, sampler="auto", num_trials=12)
    torn.run(until_s=0.7 * whole.clock.now)
    assert outcome(torn.run()) == expected


def test_promoting_takes_more_trials_to_the_first_rung_than_to_the_last(virtual_study: Build) -> None:
    run = virtual_study(study=PROMOTE, num_trials=60)
    trials = ours(run.run(2))
    at_rung = Counter(r.rung for t in trials for r in t.reports)
    assert at_rung[0] == 60 and at_rung[0] > at_rung[1] > at_rung[2] >= 60 // 9
    assert all("never promoted" in t.reason for t in trials if t.state is TrialState.PRUNED)
    rung = Rung(3)
    for trial in trials:
        rung.add(trial.id, (trial.reports[0].score.leakage.value, -trial.reports[0].score.accuracy.value))
    # At the end whoever is on the front of the first rung has gone on.
    front = [t for t in trials if rung.verdict(t.id).front_rank == 0]
    assert front and all(len(t.reports) > 1 for t in front)


def test_a_rung_too_small_to_decide_lets_all_go_on(virtual_study: Build) -> None:
    trials = ours(virtual_study(study=PROMOTE, num_trials=4).run())
    assert [t.state for t in trials] == [TrialState.COMPLETE] * 4


def test_brackets_are_dealt_by_the_seed_and_start_late(virtual_study: Build) -> None:
    first_rungs = []
    for seed in (0, 1):
        trials = ours(virtual_study(f"seed-{seed}", study=BRACKETS, num_trials=40, seed=seed).run(3))
        first_rungs.append([t.reports[0].rung for t in trials])
        assert set(first_rungs[-1]) == {0, 1}
        assert first_rungs[-1].count(0) > first_rungs[-1].count(1)
    assert first_rungs[0] != first_rungs[1]


def test_constraints_come_before_layers_and_reach_the_record(virtual_study: Build) -> None:
    limits = {"constraints": {"accuracy_at_least": 0.7, "seconds_per_frame_at_most": 0.02}}
    run = virtual_study(study=limits, num_trials=40)
    trials = ours(run.run())
    feasible = [t for t in trials if t.is_feasible]
    assert feasible and len(feasible) < len(trials)
    for trial in trials:
        last = trial.reports[-1]
        missed = max(0.0, (0.7 - last.score.accuracy.validation) / 0.7)
        assert last.violation == pytest.approx(missed)
    stopped = [t for t in trials if t.state is TrialState.PRUNED]
    assert any("constraints missed by" in t.reason for t in stopped)
    share = [sum(t.is_feasible for t in group) / len(group) for group in (stopped, trials)]
    assert share[0] < share[1]
    recorded = {t.user_attrs["trial"]: t for t in run.record.study.trials}
    for trial in trials:
        held = recorded[trial.id].constraints
        assert held["seconds_per_frame"] == pytest.approx(-0.5)
        assert (held["accuracy"] <= 0) == trial.is_feasible
    best = {t.user_attrs["trial"] for t in run.record.study.best_trials}
    assert best and best <= {t.id for t in feasible}


def test_a_constrained_model_learns_where_it_is_feasible(virtual_study: Build) -> None:
    limits = {"constraints": {"leakage_at_most": 0.6}}
    trials = ours(virtual_study(study=limits, sampler="gp", num_trials=14).run())
    late = trials[8:]
    assert sum(t.is_feasible for t in late) > len(late) / 2


def test_trials_that_have_only_begun_stall_no_study(virtual_study: Build) -> None:
    run = virtual_study(num_trials=12, stop={"stall_trials": 6})
    trials = run.run(12)  # all at a time: twelve have begun before the first has ended
    assert len(ours(trials)) == 12 and not run.book.stop_reason


@pytest.mark.parametrize(
    ("study", "rule", "said"),
    [
        ({}, {"gpu_hours": 1.0}, "of 1 GPU-hours are spent"),
        ({}, {"money": 1.0}, "of 1 money are spent"),
        (PROMOTE, {"money": 1.0}, "of 1 money are spent"),
        (PROMOTE, {"stall_trials": 5}, "the hypervolume has not grown while"),
        ({}, {"seconds": 900.0}, "of 900 seconds are spent"),
    ],
)
def test_a_stop_rule_ends_a_study_well(
    virtual_study: Build, study: dict[str, Any], rule: dict[str, Any], said: str
) -> None:
    run = virtual_study(study=study, num_trials=99, gpus_per_worker=2, stop=rule)
    run.prices = Prices.of(run.settings, lambda: [Node("node-1", {"GPU": 4, "CPU": 8}, price_per_hour=8.0)])
    trials = run.run(2)
    assert 3 < len(ours(trials)) < 99
    assert run.book.is_finished and all(t.state.is_final for t in trials)
    assert said in run.book.stop_reason
    seconds = sum(t.seconds for t in trials)
    spent = sum((t.cost for t in trials), Cost())
    assert math.isclose(spent.gpu_s, 2 * seconds)
    assert math.isclose(spent.money, seconds / 3600 * 4.0)  # half of a node's GPUs cost half its price
    # With the rule lifted it goes on; nobody who was settled by then is taken up again.
    run.settings = run.settings.model_copy(update={"stop": StopRules(), "num_trials": len(ours(trials)) + 3})
    more = run.run(2)
    assert outcome(more)[: len(trials)] == outcome(trials)
    assert len(more) == len(trials) + 3 and all(t.state.is_final for t in more)


def test_a_node_that_joins_later_has_its_price(virtual_study: Build) -> None:
    run = virtual_study(num_trials=3, gpus_per_worker=1)
    listed: list[list[Node]] = [[], [Node("node-1", {"GPU": 2, "CPU": 4}, 8.0)]]
    run.prices = Prices.of(run.settings, lambda: listed[0])
    assert run.prices.cost("node-0", 3600.0).money == 0.0
    listed.pop(0)
    assert run.prices.cost("node-1", 3600.0).money == 4.0  # half of its GPUs for an hour
    listed[0] = [Node("node-2", {"memory": 1.0}, 8.0)]
    assert run.prices.cost("node-2", 3600.0).money == 0.0  # nothing of it is reserved
    assert run.prices.cost("node-1", 3600.0).money == 4.0  # it has gone, and is still known


def test_a_mended_anchor_is_read_by_every_later_driver(virtual_study: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    study = virtual_study(num_trials=3)
    study.run(until_s=-1)  # makes a body
    body = type(study.body)
    good = body.advance

    def broken(self: Any, job: RungJob) -> RungReport:
        report: RungReport = good(self, job)
        if job.trial_id != "identity" or not job.full:
            return report
        reading = replace(report.score.leakage, value=math.nan, validation=math.nan)
        return replace(report, score=replace(report.score, leakage=reading))

    monkeypatch.setattr(body, "advance", broken)
    study.run()
    monkeypatch.undo()
    assert study.book.failed_anchor is not None
    for _ in range(3):
        study.run()
        identity = next(t for t in study.book.trials if t.id == "identity")
        assert identity.state is TrialState.COMPLETE
        assert [r.score.leakage.value for r in identity.reports] == [0.95, 0.95]
    assert study.book.is_finished


def test_a_grid_is_whole_and_each_point_comes_once(virtual_study: Build) -> None:
    search = MIXED | {"training.num_branch_updates": {"low": 1, "high": 3, "integer": True}}
    run = virtual_study(search=search, sampler="grid", num_trials=50, study={"rungs": False})
    points = [tuple(sorted(t.params.items())) for t in ours(run.run())]
    # Two kinds, two values of each weight and three numbers: 2 * 2 * 2 * 3 combinations fit 50, with three values of
    # each weight they would not. Without its end a constant weight makes 2 * 3 points, a linear one 2 * 2 * 3.
    assert len(points) == len(set(points)) == 18
    assert all(t.state is TrialState.COMPLETE for t in run.book.trials)


def test_a_grid_comes_whole_after_the_points_to_try_first(virtual_study: Build) -> None:
    first = [{"penalty.weight": 2.0, "penalty.threshold": 0.11}]
    trials = ours(virtual_study(sampler="grid", num_trials=12, study={"rungs": False}, first=first).run())
    points = [(t.params["penalty.weight"], t.params["penalty.threshold"]) for t in trials]
    assert points[0] == (2.0, 0.11)
    assert sorted(points[1:]) == sorted({(w, t) for w, _ in points[1:] for _, t in points[1:]})
    assert len(points) == 1 + 9


def test_quasi_random_points_fill_the_space_evenly(virtual_study: Build) -> None:
    trials = ours(virtual_study(sampler="qmc", num_trials=64, study={"rungs": False}).run())
    for name, low, high, log in (("penalty.weight", 0.1, 10.0, True), ("penalty.threshold", 0.0, 0.3, False)):
        places = [t.params[name] for t in trials]
        if log:
            places = [math.log(p / low) / math.log(high / low) for p in places]
        else:
            places = [(p - low) / (high - low) for p in places]
        assert Counter(int(p * 16) for p in places) == dict.fromkeys(range(16), 4)


def test_points_to_try_first_are_part_of_any_sampler(virtual_study: Build) -> None:
    first = [{"penalty.weight": 2.0}, {"penalty.weight": 3.0, "penalty.threshold": 0.1}]
    for sampler in ("random", "qmc", "gp", "nsga2"):
        trials = ours(virtual_study(sampler, sampler=sampler, num_trials=6, first=first).run())
        assert trials[0].params["penalty.weight"] == 2.0
        assert trials[1].params == {"penalty.weight": 3.0, "penalty.threshold": 0.1}
        assert len({tuple(t.params.items()) for t in trials}) == 6


def test_evolution_breeds_from_the_best(virtual_study: Build) -> None:
    means = {}
    for sampler in ("nsga2", "random"):
        trials = ours(virtual_study(sampler, sampler=sampler, num_trials=150, study={"rungs": False}).run())
        hurt = [abs(float(t.params["penalty.threshold"]) / 0.3 - 0.4) for t in trials[-50:]]
        means[sampler] = sum(hurt) / len(hurt)
    assert means["nsga2"] < 0.6 * means["random"]
