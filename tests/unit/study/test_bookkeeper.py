"""The bookkeeper without Ray: what it hands out, records, tells Optuna, and continues after a restart."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pyarrow.parquet as pq
import pytest
from optuna.storages import InMemoryStorage

from anon_tune.ledger import Ledger
from anon_tune.search.choices import choose_sampler
from anon_tune.search.parameters import StopRules
from anon_tune.search.proposer import Proposer
from anon_tune.search.space import SearchSpace
from anon_tune.study.assignment import Assignment, Decision
from anon_tune.study.bookkeeper import Bookkeeper
from anon_tune.study.settings import StudySettings
from anon_tune.study.spending import Node, Prices
from anon_tune.trackers.optuna_storage import OptunaMirror
from anon_tune.trial import Ceilings, Cost, Reading, Repeat, RungReport, Score, TrialState

TABLES: dict[str, Any] = {
    "fixed": {"training.num_steps": 90},
    "search": {"penalty.weight": {"low": 0.1, "high": 10.0, "log": True}},
    "study": {"rungs": {"min_steps": 10, "factor": 3}},
}


def space(**changes: Any) -> SearchSpace:
    return SearchSpace.from_tables(TABLES | changes, "toy.toml")


class Desk:
    """A bookkeeper with its Optuna storage, and a worker to play."""

    def __init__(self, folder: Path, num_trials: int = 8, of: SearchSpace | None = None, kind: Any = "random") -> None:
        of = of or space()
        self.record = OptunaMirror(of, InMemoryStorage(), "toy")
        self.proposer = Proposer(of, kind, 0, num_trials, self.record)
        self.book = Bookkeeper(Ledger(folder), of, self.proposer, StudySettings(num_trials=num_trials))

    def take(self) -> Assignment:
        assignment = self.book.next()
        assert assignment is not None
        self.book.start(assignment.trial_id)
        return assignment

    def deliver(self, assignment: Assignment, rung: int, leakage: float, accuracy: float) -> bool:
        """Report a rung; return whether the trial goes on from it at once."""
        job = next(job for job in assignment.jobs if job.rung == rung)
        score = Score(job.full, reading(leakage), reading(accuracy), {}, {}, 0.0, 1, 1, 0, 0.1)
        report = RungReport(assignment.trial_id, rung, job.step, score, (), 1.0, "here", "")
        decision = self.book.decide(report)
        assert self.book.decide(report) is decision
        return decision is Decision.GO_ON

    def finish(self, assignment: Assignment, leakage: float, accuracy: float) -> None:
        for rung in assignment.todo:
            if not self.deliver(assignment, rung, leakage, accuracy):
                return

    def anchors(self) -> None:
        self.finish(self.take(), 0.9, 0.9)
        self.finish(self.take(), 0.5, 0.2)

    def recorded(self) -> dict[str, optuna.trial.FrozenTrial]:
        return {t.user_attrs["trial"]: t for t in self.record.study.trials}


def reading(value: float) -> Reading:
    return Reading(value + 0.5, 0.2, 1.0, value, value, validation=value)


def test_values_that_do_not_go_together_fail_one_trial_and_not_the_study(tmp_path: Path) -> None:
    search = {
        "privacy.head": {"choices": ["attributes", "nt_xent"]},
        "training.stills_per_clip": {"choices": [2, 4]},  # NT-Xent takes two
    }
    desk = Desk(tmp_path, num_trials=20, of=space(search=search))
    desk.anchors()
    handed_out = []
    while (assignment := desk.book.next()) is not None:
        handed_out.append(assignment.trial_id)
    failed = [trial for trial in desk.book.trials if trial.state is TrialState.FAILED]
    assert failed and len(failed) + len(handed_out) == 20
    assert all("stills_per_clip" in trial.reason for trial in failed)


def test_the_identity_comes_first_and_alone(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    identity = desk.take()
    assert (identity.trial_id, identity.todo, [job.step for job in identity.jobs]) == ("identity", (0, 2), [10, 90])
    assert {job.ceilings for job in identity.jobs} == {None}
    assert desk.book.next() is None
    desk.deliver(identity, 0, 0.8, 0.7)
    assert desk.book.next() is None
    desk.deliver(identity, 2, 0.9, 0.8)
    black_out, first = desk.take(), desk.take()
    assert (black_out.trial_id, first.trial_id, first.todo) == ("black-out", "0000", (0, 1, 2))
    rung, full = Ceilings(1.3, 1.2), Ceilings(1.4, 1.3)
    assert [job.ceilings for job in black_out.jobs] == [rung, full]
    assert [(job.step, job.full, job.ceilings) for job in first.jobs] == [
        (10, False, rung),
        (30, False, rung),
        (90, True, full),
    ]


def test_a_stopped_trial_is_pruned_with_its_reason_and_an_anchor_never(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.anchors()
    for loss in (0.1, 0.2, 0.3, 0.4, 0.45):  # too few for a decision
        assert desk.deliver(desk.take(), 0, loss, 1 - loss)
    hopeless = desk.take()
    assert not desk.deliver(hopeless, 0, 0.5, 0.5)
    trial = desk.book.trials[-1]
    assert (trial.state, trial.reason) == (TrialState.PRUNED, "rung 0 (step 10): position 6 of 6, front rank 5")
    recorded = desk.recorded()["0005"]
    assert (recorded.state.name, recorded.values) == ("PRUNED", None)
    assert recorded.user_attrs["last_losses"] == [0.5, -0.5]
    assert all(t.state is TrialState.COMPLETE for t in desk.book.trials if t.is_anchor)


def test_the_sampler_sees_a_stopped_trial_as_it_would_have_ended(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for rung_losses, full in (((0.8, 0.7), (0.9, 0.8)), ((0.5, 0.2), (0.5, 0.2))):
        anchor = desk.take()
        desk.deliver(anchor, 0, *rung_losses)
        desk.deliver(anchor, 2, *full)
    good = desk.take()
    for rung, (leakage, accuracy) in enumerate([(0.2, 0.6), (0.3, 0.7), (0.5, 0.9)]):
        desk.deliver(good, rung, leakage, accuracy)
    for _ in range(4):
        desk.deliver(desk.take(), 0, 0.25, 0.55)
    stopped = desk.take()
    assert not desk.deliver(stopped, 0, 0.4, 0.4)
    # Leakage rose by 0.1, 0 and 0.3 from here to the end, accuracy by 0.1, 0 and 0.3.
    seen = desk.proposer.observations()[stopped.trial_id]
    assert seen == pytest.approx((0.4 + 0.4 / 3, -(0.4 + 0.4 / 3)))
    assert Desk(tmp_path).proposer.observations()[stopped.trial_id] == seen


def test_selection_looks_at_the_validation_split(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.anchors()
    desk.finish(desk.take(), 0.3, 0.6)
    assert desk.recorded()["0000"].values == [0.3, -0.6]


def test_the_sampler_knows_a_trial_that_was_measured_again_by_its_mean(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.anchors()
    desk.finish(desk.take(), 0.3, 0.6)
    trial = desk.book.trials[-1]
    assert trial.score is not None
    again = [replace(trial.score, leakage=reading(value), accuracy=reading(0.5)) for value in (0.4, 0.6)]
    desk.proposer.tell(replace(trial, repeats=tuple(Repeat(k, 0, score) for k, score in enumerate(again, 1))))
    assert desk.proposer.observations()[trial.id] == pytest.approx((0.5, -0.5))


def test_a_rung_counts_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.anchors()
    trial = desk.take()
    desk.deliver(trial, 0, 0.3, 0.6)
    desk.deliver(trial, 0, 0.9, 0.1)
    assert [r.score.leakage.validation for r in desk.book.trials[-1].reports] == [0.3]
    assert Ledger(tmp_path).trials()[-1].reports == desk.book.trials[-1].reports


def test_what_is_not_finite_is_never_complete(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.anchors()
    trial = desk.take()
    assert not desk.deliver(trial, 2, math.nan, 0.6)
    failed = desk.book.trials[-1]
    assert failed.state is TrialState.FAILED
    assert failed.reason.startswith("rung 2 (step 90): leakage and accuracy must be finite, got nan and ")
    assert (desk.recorded()["0000"].state.name, desk.recorded()["0000"].values) == ("FAIL", None)


def test_a_new_driver_takes_up_what_the_old_one_left(tmp_path: Path) -> None:
    old = Desk(tmp_path)
    old.anchors()
    done, failed, half, _never_started = old.take(), old.take(), old.take(), old.book.next()
    old.finish(done, 0.3, 0.6)
    old.book.fail(failed.trial_id, "gone")
    old.deliver(half, 0, 0.2, 0.6)

    new = Desk(tmp_path)
    assert {i: t.state.name for i, t in new.recorded().items()} == {
        "0000": "COMPLETE",
        "0001": "FAIL",
        "0002": "RUNNING",
    }
    again = new.take()
    assert (again.trial_id, again.todo, again.jobs) == ("0002", (1, 2), half.jobs[1:])
    new.finish(again, 0.2, 0.6)
    rest = [new.take() for _ in range(5)]
    assert [assignment.trial_id for assignment in rest] == [f"{i:04d}" for i in range(3, 8)]
    assert new.book.next() is None
    assert not new.book.is_finished  # one of them may come back
    for assignment in rest:
        new.finish(assignment, 0.3, 0.6)
    assert new.book.is_finished


def test_a_trial_whose_worker_is_lost_is_handed_out_again_and_then_given_up(tmp_path: Path) -> None:
    desk = Desk(tmp_path, num_trials=1)
    for _ in range(2):
        assert desk.take().trial_id == "identity"
        desk.book.hand_out_again("identity", "the node went", max_losses=2)
    desk.anchors()
    half = desk.take()
    desk.deliver(half, 0, 0.2, 0.6)
    desk.book.hand_out_again(half.trial_id, "the node went", max_losses=1)
    again = desk.take()
    assert (again.trial_id, again.todo) == (half.trial_id, (1, 2))
    desk.book.hand_out_again(half.trial_id, "the node went", max_losses=1)
    assert (desk.book.trials[-1].state, desk.book.trials[-1].reason) == (TrialState.FAILED, "the node went")
    assert desk.book.is_finished


def test_points_to_try_first_are_tried_once_and_filled_in(tmp_path: Path) -> None:
    search = TABLES["search"] | {"penalty.threshold": {"low": 0.1, "high": 0.2}}
    points = [{"penalty.weight": 1.0, "penalty.threshold": 0.15}, {"penalty.weight": 2.0}]
    of = space(search=search, first=points)
    old = Desk(tmp_path, of=of)
    old.anchors()
    first = old.take().recipe
    assert (first.penalty.weight.start, first.penalty.threshold.start) == (1.0, 0.15)

    new = Desk(tmp_path, of=of)
    assert new.take().recipe == first
    second, third = new.take().recipe, new.take().recipe
    assert second.penalty.weight.start == 2.0
    assert 0.1 <= second.penalty.threshold.start <= 0.2
    assert third.penalty.weight.start not in (1.0, 2.0)


@pytest.mark.parametrize("kind", ["tpe", "gp", "nsga2", "random", "qmc"])
def test_every_sampler_serves_conditions_and_hears_every_state(tmp_path: Path, kind: str) -> None:
    search = {
        "penalty.on": {"choices": ["pixels", "features"]},
        "penalty.weight.kind": {"choices": ["constant", "linear"]},
        "penalty.weight.start": {"low": 0.1, "high": 10.0, "log": True},
        "penalty.weight.end": {"low": 1.0, "high": 2.0, "step": 0.25, "when": {"penalty.weight.kind": ["linear"]}},
        "training.batch_clips": {"low": 4, "high": 32, "integer": True, "log": True},
    }
    desk = Desk(tmp_path, 14, space(search=search), kind)
    desk.anchors()
    for number in range(14):
        trial = desk.take()
        kind_of_weight = trial.recipe.penalty.weight.kind
        assert ("penalty.weight.end" in desk.book.trials[-1].params) == (kind_of_weight == "linear")
        if number % 5 == 4:
            desk.book.fail(trial.trial_id, "gone")
        else:
            desk.finish(trial, number / 20, 0.9 - (number % 3) / 10)
    states = {t.id: t.state for t in desk.book.trials if not t.is_anchor}
    assert set(states.values()) == {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED}
    names = {"COMPLETE": "COMPLETE", "PRUNED": "PRUNED", "FAILED": "FAIL"}
    assert {i: t.state.name for i, t in desk.recorded().items()} == {i: names[s.value] for i, s in states.items()}


def test_every_complete_trial_is_recorded_with_what_the_rungs_were_worth_so_far(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.anchors()
    for at_rungs, in_full in ((0.3, 0.31), (0.4, 0.33), (0.5, 0.32), (0.6, 0.35)):
        trial = desk.take()
        for rung in trial.todo:
            leakage = in_full if rung == trial.todo[-1] else at_rungs
            goes_on = desk.deliver(trial, rung, leakage, at_rungs)  # no trial dominates another at a rung
            assert goes_on == (rung != trial.todo[-1])
    table = pq.read_table(tmp_path, columns=["record", "state", "full", "rung_correlation"]).sort_by("record")
    rows = [row for row in table.to_pylist() if row["rung_correlation"] is not None]
    assert [row["rung_correlation"] for row in rows] == [pytest.approx(0.5), pytest.approx(0.8)]
    assert all(row["state"] == "COMPLETE" and row["full"] for row in rows)
    assert table.num_rows == 2 * 3 + 4 * 4


def test_equal_seeds_propose_equal_points(tmp_path: Path) -> None:
    def proposals(folder: str) -> list[float]:
        desk = Desk(tmp_path / folder, 8, kind="tpe")
        desk.anchors()
        for number in range(8):
            desk.finish(desk.take(), number / 10, 0.5)
        return [float(t.params["penalty.weight"]) for t in desk.book.trials if not t.is_anchor]

    assert proposals("a") == proposals("b")


def test_auto_fits_a_process_where_it_can_and_evolves_many_trials() -> None:
    mixed = space(search={"penalty.on": {"choices": ["pixels", "features"]}})
    assert [choose_sampler("auto", space(), n) for n in (10, 250, 251)] == ["gp", "gp", "nsga2"]
    assert [choose_sampler("auto", mixed, n) for n in (10, 250, 251)] == ["tpe", "tpe", "nsga2"]
    assert choose_sampler("random", space(), 10) == "random"


def test_a_job_that_never_reports_is_recorded_and_paid_for(tmp_path: Path) -> None:
    now = [1000.0]

    def driver() -> Bookkeeper:
        of = space()
        settings = StudySettings(num_trials=3, gpus_per_worker=2, stop=StopRules(gpu_hours=1.5))
        proposer = Proposer(of, "random", 0, 3, OptunaMirror(of, InMemoryStorage(), "toy"))
        prices = Prices.of(settings, lambda: [Node("here", {"CPU": 8, "GPU": 4}, price_per_hour=8.0)])
        return Bookkeeper(Ledger(tmp_path), of, proposer, settings, prices, clock=lambda: now[0])

    desk = Desk.__new__(Desk)
    desk.book = driver()
    desk.anchors()
    first = desk.take()
    desk.book.record_lost_job(first.trial_id, 1800.0, "here")
    desk.book.record_lost_job(first.trial_id, 0.0, "")
    desk.deliver(first, 0, 0.1, 0.9)
    desk.book.record_lost_job(first.trial_id, 360.0, "unknown")
    desk.book.fail(first.trial_id, "ValueError: no such thing")
    desk.book.record_lost_job(first.trial_id, 99.0, "here")  # it is over

    trial = desk.book.trials[-1]
    assert trial.state is TrialState.FAILED and trial.seconds == 1.0
    assert [(job.seconds, job.node) for job in trial.lost] == [(1800.0, "here"), (0.0, ""), (360.0, "unknown")]
    assert trial.lost_s == 2160.0
    # Two of a node's four GPUs cost half its price; a node nobody knows has none.
    assert [job.cost for job in trial.lost] == [Cost(1800.0, 3600.0, 2.0), Cost(0.0, 0.0, 0.0), Cost(360.0, 720.0, 0.0)]
    assert trial.cost == Cost(2161.0, 4322.0, 2.0 + 4.0 / 3600)
    (read,) = [t for t in Ledger(tmp_path).trials() if t.id == trial.id]
    assert (read.lost, read.cost, read.state, read.reason) == (trial.lost, trial.cost, trial.state, trial.reason)
    assert len(read.reports) == 1 and all(job.ended > 0 for job in read.lost)

    # What was lost counts against a stop rule, also for a driver that comes later.
    assert desk.book.stop_reason == ""
    now[0] += 1
    second = desk.take()
    desk.book.record_lost_job(second.trial_id, 900.0, "here")
    again = driver()
    assert again.stop_reason.startswith("1.7") and "GPU-hours are spent" in again.stop_reason
    assert {t.id: t.lost_s for t in again.trials}["0001"] == 900.0


def test_trials_come_by_number_also_after_a_driver_that_left_some_out(tmp_path: Path) -> None:
    old = Desk(tmp_path)
    old.anchors()
    left_out, later = old.book.next(), old.take()
    assert left_out is not None and later.trial_id > left_out.trial_id
    new = Desk(tmp_path)
    assert new.take().trial_id == later.trial_id  # it was begun
    assert new.take().trial_id == left_out.trial_id
    assert [trial.id for trial in new.book.trials] == ["black-out", "identity", left_out.trial_id, later.trial_id]


def test_a_trial_waits_where_trials_are_promoted_and_its_rest_is_handed_out_later(tmp_path: Path) -> None:
    desk = Desk(tmp_path, of=space(study={"rungs": {"min_steps": 10, "factor": 3, "promote": True}}))
    desk.anchors()
    trial = desk.take()
    report = RungReport(
        trial.trial_id, 0, 10, Score(False, *[reading(0.1)] * 2, {}, {}, 0, 1, 1, 0, 0.1), (), 1, "here", ""
    )
    assert desk.book.decide(report) is desk.book.decide(report) is Decision.WAIT
    assert (trial.todo, desk.book.remaining(trial.trial_id).todo) == ((0, 1, 2), (1, 2))


def test_rungs_that_foretell_nothing_stop_no_trial_and_are_no_longer_measured(tmp_path: Path) -> None:
    desk = Desk(tmp_path, num_trials=20)
    desk.anchors()
    for k in range(12):
        trial = desk.take()
        assert trial.todo == (0, 1, 2)
        for rung in (0, 1):  # no trial dominates another here, so none is stopped
            assert desk.deliver(trial, rung, k / 12, k / 12)
        desk.deliver(trial, 2, 5 * k % 12 / 12, 7 * k % 12 / 12)
    assert desk.take().todo == (2,)
    again = Desk(tmp_path, num_trials=20)
    assert [again.take().todo for _ in range(2)] == [(2,), (2,)]
