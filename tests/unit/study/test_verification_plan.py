"""The desk of a verification in virtual time: ceilings first, passes, lost jobs, failures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from anon_tune.errors import DataError
from anon_tune.pareto import front_candidates, repeats_needed
from anon_tune.study.lock import driver_lock
from anon_tune.study.verification_plan import VerificationDesk, VerificationPlan, VerifyStep
from anon_tune.study.virtual_time import VirtualClock, drive
from anon_tune.study_directory import StudyDirectory
from anon_tune.trial import ANCHORS, Reading, Repeat, RungJob, RungReport, Score

Build = Callable[..., Any]


@dataclass
class Body:
    """A trial body with the same score for every seed, or one that differs by seed; `broken` trials cannot be measured.

    Intervals over clips are 0.1 wide on each side.
    """

    broken: tuple[str, ...] = ()
    spread: float = 0.0
    jobs: list[RungJob] = field(default_factory=list)

    def advance(self, job: RungJob) -> RungReport:
        self.jobs.append(job)
        if job.trial_id in self.broken:
            raise DataError("clips", "must not be empty")
        value = {"identity": 0.95, "black-out": 0.2}.get(job.trial_id, 0.5)
        if job.trial_id not in ANCHORS:
            value += (job.recipe.evaluation.seed % 3 - 1) * self.spread
        ceiling = job.ceilings.leakage if job.ceilings else value
        reading = Reading(value, 0.2, ceiling, value - 0.1, value + 0.1, value)
        score = Score(job.full, reading, reading, {}, {}, 0.1, 1, 1, job.recipe.evaluation.seed, 0.1, 0.01)
        return RungReport(job.trial_id, job.rung, job.step, score, (), 1.0, "here", "")


@pytest.fixture
def verify(virtual_study: Build) -> Callable[..., tuple[VerificationPlan, list[VerifyStep]]]:
    """Run a study, then verify it with a body; returns what is left and every step."""
    study = virtual_study(num_trials=6, study={"rungs": False})
    study.run(2)

    def run(body: Body, num_seeds: int | None, lose: int = 0) -> tuple[VerificationPlan, list[VerifyStep]]:
        steps: list[VerifyStep] = []
        with driver_lock(study.folder) as hold:
            plan = VerificationPlan(
                StudyDirectory.at(study.folder), hold, study.space, study.settings.seed, num_seeds, retrain=True
            )
            clock = VirtualClock()
            desk = VerificationDesk(plan, steps.append, clock)
            for _ in range(lose):
                assignment = desk.next()
                assert assignment is not None and assignment.trial_id == "identity/repeat-1"
                desk.hand_out_again(assignment.trial_id, "the node went", max_losses=1)
            drive(desk, body, 3, clock, study.folder / "trials")
            assert desk.is_finished and not desk.is_hopeless
        return plan, steps

    return run


def test_every_candidate_is_measured_with_the_ceilings_of_its_seed(verify: Any) -> None:
    body = Body()
    plan, steps = verify(body, 2)
    assert not plan.todo() and not plan.failures
    assert [job.trial_id for job in body.jobs[:2]] == ["identity", "identity"]
    repeated = {trial.id: trial for trial in plan.trials if trial.repeats}
    assert {trial.id for trial in front_candidates(plan.trials)} == set(repeated) >= set(ANCHORS)
    assert {tuple(r.number for r in trial.repeats) for trial in repeated.values()} == {(1, 2)}
    assert all((job.ceilings is None) == (job.trial_id == "identity") for job in body.jobs)
    assert {Path(job.directory).name for job in body.jobs} == {"repeat-1", "repeat-2"}
    assert [step.done for step in steps] == list(range(1, len(body.jobs) + 1))
    assert (steps[-1].total, steps[-1].left_s) == (len(steps), 0)


@pytest.mark.parametrize(("spread", "expected"), [(0.0, 3), (0.2, 8)])
def test_repeats_follow_what_the_first_three_show(verify: Any, spread: float, expected: int) -> None:
    body = Body(spread=spread)
    plan, steps = verify(body, None)
    repeated = [trial for trial in plan.trials if trial.repeats]
    assert {len(trial.repeats) for trial in repeated} == {expected} and len(steps) == expected * len(repeated)
    needed = repeats_needed(plan.trials)
    assert needed is not None and needed.count == expected
    numbers = [int(Path(job.directory).name.removeprefix("repeat-")) for job in body.jobs]
    assert numbers == sorted(numbers, key=lambda number: number > 3)  # none is measured a fourth time before all thrice


def test_a_trial_whose_first_repeats_failed_gets_no_more_of_them(verify: Any) -> None:
    broken = next(trial.id for trial in verify(Body(), 0)[0].trials if not trial.is_anchor)
    plan, _ = verify(Body(broken=(broken,), spread=0.2), None)
    assert set(plan.failures) == {(broken, number) for number in (1, 2, 3)} and not plan.todo()
    assert {len(trial.repeats) for trial in plan.trials if trial.repeats} == {8}


def test_no_repeats_are_measured_if_none_are_wanted(verify: Any) -> None:
    assert verify(Body(), 0)[1] == []


def test_what_waits_for_ceilings_that_cannot_be_measured_is_left(verify: Any) -> None:
    plan, steps = verify(Body(broken=("identity",)), 2)
    assert set(plan.failures) == {("identity", 1), ("identity", 2)}
    assert plan.todo() and not steps


def test_a_repeat_that_was_trained_again_takes_the_place_of_all_that_were_only_measured(virtual_study: Build) -> None:
    study = virtual_study(num_trials=6, study={"rungs": False})
    study.run(2)
    with driver_lock(study.folder) as hold:

        def plan() -> VerificationPlan:
            return VerificationPlan(StudyDirectory.at(study.folder), hold, study.space, study.settings.seed, 3, True)

        before = plan()
        for trial in front_candidates(before.trials):
            for number in (1, 2, 3):
                before.ledger.append_repeat(trial, Repeat(number, 0, trial.score))
        going = plan()
        trial_id, number = going.todo()[0]
        repeat = going.receive(trial_id, number, Body().advance(going.job(trial_id, number)))
        assert repeat is not None and repeat.training_seed != 0
        by_id = {trial.id: trial.repeats for trial in going.trials}
        assert by_id[trial_id] == (repeat,) and len(by_id["identity"]) == 3
        assert going.trials == going.ledger.trials()
        assert (trial_id, number) not in plan().todo()


@pytest.mark.parametrize(("lose", "failed"), [(1, False), (2, True)])
def test_a_repeat_whose_worker_is_lost_is_handed_out_again_and_then_given_up(
    verify: Any, lose: int, failed: bool
) -> None:
    plan, _ = verify(Body(), 1, lose)
    assert plan.failures == ({("identity", 1): "the node went"} if failed else {})
