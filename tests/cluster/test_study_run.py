"""Studies on a real local Ray with an analytic trial body."""

from __future__ import annotations

import itertools
import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
import ray
import ray.cloudpickle

from anon_tune.accounting import Phase, epsilon
from anon_tune.commands.status import study_status
from anon_tune.driver.run import StudyInterrupted, run_study
from anon_tune.errors import DataError, PlacementError, StudyError
from anon_tune.ledger import Ledger
from anon_tune.search.parameters import StopRules
from anon_tune.search.space import SearchSpace
from anon_tune.study.frozen_study import load_study
from anon_tune.study.lock import driver_lock
from anon_tune.study.privacy import Protected, study_privacy
from anon_tune.study.settings import StudySettings
from anon_tune.trackers.optuna_storage import open_storage
from anon_tune.trial import Cost, Reading, RungJob, RungReport, Score, Trial, TrialState

pytestmark = pytest.mark.cluster
if __name__ != "__main__":  # workers cannot import a test module
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])

# One worker, which takes seconds to start, unless a test is about several.
Settings = partial(StudySettings, max_concurrent=1)
SPACE = SearchSpace.from_tables(
    {
        "fixed": {"training.num_steps": 90},
        "search": {"penalty.weight": {"low": 0.1, "high": 10.0, "log": True}},
        "study": {"rungs": {"min_steps": 10, "factor": 3}},
    },
    "toy.toml",
)


@dataclass(frozen=True)
class ToyBody:
    """A trial body with a trade-off in one param. From number `worse_from` on, earlier trials dominate every trial.

    `trouble` names the fault of a trial at its second rung. From number `stuck_from` on, no trial ends.
    """

    trouble: dict[str, str] = field(default_factory=dict)
    worse_from: int = 10**6
    stuck_from: int = 10**6
    seconds: float = 0.0

    def advance(self, job: RungJob) -> RungReport:
        directory = Path(job.directory)
        with open(directory / "calls.txt", "a") as file:
            file.write(f"{job.rung} {job.step} {job.full} {os.getpid()}\n")
        time.sleep(self.seconds)
        while job.full and job.trial_id.isdigit() and int(job.trial_id) >= self.stuck_from:
            time.sleep(0.1)
        if job.rung > 0:
            self._go_wrong(self.trouble.get(job.trial_id, ""), directory)
        if job.recipe.method == "identity":
            leakage = accuracy = 0.95 if job.full else 0.9
        elif job.recipe.method == "black-out":
            leakage, accuracy = 0.5, 0.2
        else:
            hidden = 1 / (1 + job.recipe.penalty.weight.start)
            leakage, accuracy = 0.9 - 0.3 * hidden, 0.9 - 0.2 * hidden**2
            if int(job.trial_id) >= self.worse_from:
                worse = 0.3 * (1 + int(job.trial_id) - self.worse_from)
                leakage, accuracy = leakage + worse, accuracy - worse
        if self.trouble.get(job.trial_id) == "nan" and job.rung > 0:
            leakage = math.nan
        ceilings = job.ceilings
        score = Score(
            full=job.full,
            leakage=_reading(leakage, ceilings.leakage if ceilings else leakage),
            accuracy=_reading(accuracy, ceilings.accuracy if ceilings else accuracy),
            attackers={"frame": leakage},
            attributes={"skin": leakage},
            distortion=0.1,
            num_train_clips=8,
            num_test_clips=4,
            seed=0,
            seconds=0.01,
        )
        return RungReport(job.trial_id, job.rung, job.step, score, (), 0.02, "here", "")

    @staticmethod
    def _go_wrong(how: str, directory: Path) -> None:
        if how == "bad clips":
            raise DataError("clips", "must not be empty")
        if how == "bug":
            raise ValueError("no such thing")
        if how == "killed once" and not (directory / "killed").exists():
            (directory / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class MortalBody(ToyBody):
    """A trial body whose worker dies after the last rung of a trial, when Tune gives the worker to the next trial."""

    def advance(self, job: RungJob) -> RungReport:
        dead = Path(job.directory) / "dead"
        if job.full and not dead.exists():  # once a trial: a slow machine may lose the report with the worker
            dead.touch()
            threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return super().advance(job)


def _reading(value: float, ceiling: float) -> Reading:
    return Reading(value, 0.2, ceiling, value - 0.01, value + 0.01, validation=value)


def calls(directory: Path, trial: str) -> list[str]:
    return (directory / "trials" / trial / "calls.txt").read_text().splitlines()


@pytest.mark.usefixtures("shared_ray")
def test_a_study_that_a_stop_rule_ended_is_over_for_who_watches_it(tmp_path: Path) -> None:
    settings = Settings(num_trials=500, sampler="random", stop=StopRules(seconds=0.1))
    run_study(tmp_path, SPACE, ToyBody(), settings)
    status = study_status(tmp_path)
    assert status.is_complete and status.states["TO_COME"] == status.left_s == 0
    assert sum(status.states.values()) < 500


@pytest.mark.usefixtures("shared_ray")
def test_a_private_study_ends_before_its_epsilon_is_broken(tmp_path: Path) -> None:
    protected, two = Protected(480, 120), epsilon([Phase(8 / 480, 2.0, 2 * (40 + 20 + 9 * 4))], 1 / 4800)
    values = {"dp.clip_norm": 1.0, "dp.noise_multiplier": 2.0, "training.num_steps": 9}
    private = SearchSpace.from_tables(
        {
            "fixed": {**values, "evaluation.attackers_learn_on": "outside"},
            "search": {"privacy.weight": {"low": 0.1, "high": 10.0}},
            "study": {"constraints": {"epsilon_at_most": two * 1.001}},
        },
        "private.toml",
    )
    settings = StudySettings(num_trials=9, sampler="random", protected_clips=480, protected_groups=120)
    said: list[str] = []
    ledger = run_study(tmp_path, private, ToyBody(), settings, on_stop=said.append)
    trials = [trial for trial in ledger.trials() if trial.id.isdigit()]
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 2
    assert len(said) == 1 and "one more trial may raise epsilon to" in said[0]
    found = study_privacy(trials, private, settings, protected)
    assert found is not None and found.epsilon == pytest.approx(two) and not found.refused


@pytest.mark.usefixtures("shared_ray")
def test_every_trial_ends_in_its_true_state(tmp_path: Path) -> None:
    trouble = {"0001": "bad clips", "0002": "nan", "0003": "killed once", "0004": "bug"}
    settings = StudySettings(num_trials=11, sampler="random", max_failures=1)
    states: list[list[str]] = []
    ledger = run_study(
        tmp_path, SPACE, ToyBody(trouble, worse_from=6), settings, lambda ts: states.append([t.state for t in ts])
    )
    trials = {t.id: t for t in ledger.trials()}
    assert list(trials) == ["black-out", "identity", *(f"{i:04d}" for i in range(11))]

    found = {t.id: t.state.value for t in trials.values()}
    assert found["identity"] == found["black-out"] == found["0000"] == found["0003"] == "COMPLETE"
    assert found["0001"] == found["0002"] == found["0004"] == "FAILED"
    # A small rung spares its second layer, the first of the two that are worse and begin together.
    assert {found[f"{i:04d}"] for i in range(8, 11)} == {"PRUNED"}
    assert trials["0001"].reason == "clips: must not be empty."
    assert trials["0002"].reason.startswith("rung 1 (step 30): leakage and accuracy must be finite, got nan and ")
    assert trials["0004"].reason == "ValueError: no such thing"
    assert trials["0010"].reason.startswith("rung 0 (step 10): position ")

    # A trial that raised an AnonTuneError is not tried again; one whose worker died is, from that rung on.
    assert [c.split()[0] for c in calls(tmp_path, "0001")] == ["0", "1"]
    assert [c.split()[0] for c in calls(tmp_path, "0004")] == ["0", "1", "1"]
    assert [c.split()[:3] for c in calls(tmp_path, "0003")] == [
        ["0", "10", "False"],
        ["1", "30", "False"],
        ["1", "30", "False"],
        ["2", "90", "True"],
    ]
    assert [r.rung for r in trials["0003"].reports] == [0, 1, 2]

    # Each job without a report counts as lost time on its node, and as cost.
    assert {i: len(t.lost) for i, t in trials.items() if t.lost} == {"0001": 1, "0003": 1, "0004": 2}
    lost = [job for t in trials.values() for job in t.lost]
    assert {job.node for job in lost} == {socket.gethostname()}
    assert all(job.seconds > 0 and job.cost == Cost(cpu_s=job.seconds) for job in lost)
    assert trials["0003"].cost.cpu_s == pytest.approx(trials["0003"].seconds + trials["0003"].lost_s)
    assert {file.name for file in (tmp_path / "tensorboard").iterdir()} == set(trials)
    assert [r.rung for r in trials["identity"].reports] == [0, 2]

    # Ceilings come from the identity anchor at the same effort, so it is measured first.
    assert [r.score.leakage.ceiling for r in trials["0000"].reports] == [0.9, 0.9, 0.95]
    records = pd.read_parquet(tmp_path / "ledger").sort_values("record")
    assert records["trial"].iloc[0] == "identity"
    done = records[(records.trial == "identity") & (records.state == "COMPLETE")]["record"].iloc[0]
    assert (records[records.trial != "identity"]["record"] > done).all()
    assert all(len(a) <= len(b) for a, b in itertools.pairwise(states))

    # The Optuna storage agrees, with losses only for trials with a full score.
    storage = open_storage(None, tmp_path)
    (name,) = optuna.get_all_study_names(storage)
    recorded = {t.user_attrs["trial"]: t for t in optuna.load_study(study_name=name, storage=storage).trials}
    names = {"COMPLETE": "COMPLETE", "PRUNED": "PRUNED", "FAILED": "FAIL"}
    assert {i: t.state.name for i, t in recorded.items()} == {
        i: names[state] for i, state in found.items() if i not in ("identity", "black-out")
    }
    for trial_id, trial in recorded.items():
        score = trials[trial_id].score
        complete = found[trial_id] == "COMPLETE"
        assert trial.params == dict(trials[trial_id].params)
        assert trial.values == ([score.leakage.validation, -score.accuracy.validation] if complete and score else None)
    assert not (tmp_path / "tune").exists()


@pytest.mark.usefixtures("shared_ray")
def test_a_full_disk_ends_a_study_with_its_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = Ledger.append

    def until_full(self: Ledger, trial: Trial, *rest: Any) -> None:
        if trial.number == 1 and trial.reports:
            raise StudyError("ledger", "the disk is full", remedy="Make room there")
        written(self, trial, *rest)

    monkeypatch.setattr(Ledger, "append", until_full)
    settings = Settings(num_trials=3, sampler="random")
    with pytest.raises(StudyError, match=r"^ledger: the disk is full\. Make room there\.$"):
        run_study(tmp_path, SPACE, ToyBody(), settings)
    monkeypatch.undo()
    finished = [t for t in Ledger(tmp_path / "ledger").trials() if t.state is TrialState.COMPLETE]
    assert {"identity", "black-out"} <= {t.id for t in finished}
    trials = {t.id: t for t in run_study(tmp_path, SPACE, ToyBody(), settings).trials()}
    assert all(t.state is TrialState.COMPLETE for t in trials.values()) and len(trials) == 5
    assert all(trials[t.id].reports == t.reports for t in finished)


@pytest.mark.usefixtures("shared_ray")
def test_a_study_may_grow_but_not_change(tmp_path: Path) -> None:
    before = run_study(tmp_path, SPACE, ToyBody(), Settings(num_trials=3, clips_fingerprint="a")).trials()
    after = run_study(tmp_path, SPACE, ToyBody(), Settings(num_trials=5, clips_fingerprint="a")).trials()
    assert after[: len(before)] == before
    assert [t.number for t in after] == [-1, -1, 0, 1, 2, 3, 4]
    assert len({t.params["penalty.weight"] for t in after if not t.is_anchor}) == 5

    space, settings = load_study(tmp_path)
    assert (space, settings.num_trials) == (SPACE, 5)
    other = SearchSpace.from_tables({**SPACE.tables(), "fixed": {"training.num_steps": 91}}, "toy.toml")
    with pytest.raises(StudyError, match="study directory of another recipe: its search space"):
        run_study(tmp_path, other, ToyBody(), settings)
    with pytest.raises(StudyError, match="its clips was a, got b"):
        run_study(tmp_path, SPACE, ToyBody(), settings.model_copy(update={"clips_fingerprint": "b"}))
    with (
        driver_lock(tmp_path),
        pytest.raises(StudyError, match="another process is running this study, got pid"),
    ):
        run_study(tmp_path, SPACE, ToyBody(), settings)
    assert Ledger(tmp_path / "ledger").trials() == after


@pytest.mark.usefixtures("shared_ray")
def test_nothing_starts_that_can_never_run(tmp_path: Path) -> None:
    with pytest.raises(PlacementError, match="a trial needs 64 CPU, got 1 node, the largest with 2 CPU"):
        run_study(tmp_path, SPACE, ToyBody(), StudySettings(cpus_per_worker=64))
    assert Ledger(tmp_path / "ledger").trials() == []


@pytest.mark.usefixtures("shared_ray")
@pytest.mark.parametrize("anchor", ["identity", "black-out"])
def test_a_failed_anchor_ends_the_study_until_it_is_mended(tmp_path: Path, anchor: str) -> None:
    settings = Settings(num_trials=2, sampler="random")
    with pytest.raises(StudyError, match=f"the anchor '{anchor}' failed, .*clips: must not be empty"):
        run_study(tmp_path, SPACE, ToyBody({anchor: "bad clips"}), settings)
    trials = run_study(tmp_path, SPACE, ToyBody(), settings).trials()
    assert [(t.id, t.state) for t in trials] == [
        (i, TrialState.COMPLETE) for i in ("black-out", "identity", "0000", "0001")
    ]


@pytest.mark.usefixtures("shared_ray")
def test_a_worker_lost_between_two_trials_costs_none(tmp_path: Path) -> None:
    # A reused worker that is about to die may take several trials, one after another, with it.
    ledger = run_study(tmp_path, SPACE, MortalBody(), Settings(num_trials=1, max_failures=20))
    assert [t.state for t in ledger.trials()] == [TrialState.COMPLETE] * 3


@pytest.mark.usefixtures("shared_ray")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    handlers = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]

    sent: list[bool] = []

    def stop_at_second_trial(trials: Sequence[Trial]) -> None:
        if not sent and any(t.number == 1 and t.reports for t in trials):
            sent.append(True)
            signal.raise_signal(number)

    settings = Settings(num_trials=4, sampler="random")
    with pytest.raises(StudyInterrupted, match="anon-tune resume"):
        run_study(tmp_path, SPACE, ToyBody(seconds=0.2), settings, stop_at_second_trial)
    unfinished = [t for t in Ledger(tmp_path / "ledger").trials() if not t.state.is_final]
    assert unfinished and any(t.lost_s > 0 for t in unfinished)
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert_goes_on(tmp_path)


@pytest.mark.usefixtures("shared_ray")
def test_a_killed_driver_loses_nothing_that_was_finished(processes: Any, tmp_path: Path) -> None:
    driver = processes.start("driver", [sys.executable, __file__, str(tmp_path / "study")])

    def trials() -> list[Trial]:
        return Ledger(tmp_path / "study" / "ledger").trials()

    processes.wait_until(lambda: any(t.number >= 1 and t.reports for t in trials()), "driver", driver)
    driver.kill()
    processes.ended(driver)
    assert_goes_on(tmp_path / "study")


def assert_goes_on(directory: Path) -> None:
    """Continue a study that was stopped in the middle and compare with what it had."""
    before = {t.id: t for t in Ledger(directory / "ledger").trials()}
    done = {(i, r.rung) for i, t in before.items() for r in t.reports}
    num_calls = {i: len(calls(directory, i)) for i in before}
    assert any(not t.state.is_final for t in before.values())

    space, settings = load_study(directory)
    after = {t.id: t for t in run_study(directory, space, ToyBody(), settings).trials()}
    assert sorted(after) == ["0000", "0001", "0002", "0003", "black-out", "identity"]
    assert all(t.state.is_final for t in after.values())
    for trial_id, trial in before.items():
        assert after[trial_id].params == trial.params
        assert after[trial_id].reports[: len(trial.reports)] == trial.reports
        assert after[trial_id].lost[: len(trial.lost)] == trial.lost
        redone = [int(c.split()[0]) for c in calls(directory, trial_id)[num_calls[trial_id] :]]
        assert not {(trial_id, rung) for rung in redone} & done


if __name__ == "__main__":
    run_study(sys.argv[1], SPACE, ToyBody(stuck_from=2, seconds=0.3), Settings(num_trials=4, sampler="random"))
