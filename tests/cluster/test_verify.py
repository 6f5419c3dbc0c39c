"""Verifying a study on a real local Ray with an analytic, noisy trial body."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
import ray.cloudpickle

from anon_tune.driver import StudyInterrupted, VerifyStep, verify_study
from anon_tune.errors import DataError, StudyError
from anon_tune.ledger import Ledger
from anon_tune.pareto import ParetoFront, front_candidates
from anon_tune.search.space import SearchSpace
from anon_tune.study.frozen_study import freeze_study
from anon_tune.study.lock import driver_lock
from anon_tune.study.settings import StudySettings
from anon_tune.trial import ANCHORS, Reading, RungJob, RungReport, Score, Trial, TrialState

pytestmark = pytest.mark.cluster
if __name__ != "__main__":  # workers cannot import a test module
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])

NUM_TRIALS = 8
SPACE = SearchSpace.from_tables(
    {
        "fixed": {"training.num_steps": 90},
        "search": {"penalty.weight": {"low": 0.1, "high": 10.0, "log": True}},
    },
    "toy.toml",
)


def measured(job: RungJob) -> Score:
    """A trial body with a trade-off in one param, and noise that depends only on the seeds."""
    if job.recipe.method in ANCHORS:
        leakage, accuracy = {"identity": (0.95, 0.95), "black-out": (0.3, 0.2)}[job.recipe.method]
    else:
        hidden = 1 / (1 + job.recipe.penalty.weight.start)
        leakage, accuracy = 0.9 - 0.5 * hidden, 0.9 - 0.5 * hidden**2
    seeds = [job.recipe.evaluation.seed, job.recipe.training.seed, *job.trial_id.encode()]
    leakage, accuracy = np.random.default_rng(seeds).normal([leakage, accuracy], 0.03).tolist()
    top = job.ceilings or job
    ceilings = (leakage, accuracy) if top is job else (job.ceilings.leakage, job.ceilings.accuracy)
    readings = [Reading(v, 0.2, c, v - 0.01, v + 0.01, v) for v, c in zip((leakage, accuracy), ceilings, strict=True)]
    return Score(True, *readings, {"frame": leakage}, {}, 0.1, 8, 4, job.recipe.evaluation.seed, 0.01)


@dataclass(frozen=True)
class ToyBody:
    """A trial body that logs its jobs. `trouble` names a trial's fault; in a folder named `stuck`, it hangs."""

    calls: str
    trouble: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0
    stuck: str = ""

    def advance(self, job: RungJob) -> RungReport:
        directory = Path(job.directory)
        directory.mkdir(parents=True, exist_ok=True)
        with open(self.calls, "a") as file:
            print(job.trial_id, directory.name, job.recipe.evaluation.seed, job.recipe.training.seed, file=file)
        time.sleep(self.seconds)
        while directory.name == self.stuck:
            time.sleep(0.1)
        how = dict(self.trouble).get(job.trial_id)
        if how == "bad clips":
            raise DataError("clips", "must not be empty")
        if how == "killed once" and not (mark := Path(f"{self.calls}.killed")).exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return RungReport(job.trial_id, job.rung, job.step, measured(job), (), 0.01, "here", "")


def write_study(directory: Path, beside: int = 1) -> Path:
    """Write a study directory whose trials were measured once, `beside` at a time."""
    directory.mkdir()
    freeze_study(directory, SPACE, StudySettings(num_trials=NUM_TRIALS, seed=3, max_concurrent=beside))
    ledger = Ledger(directory / "ledger")
    weights = np.random.default_rng(1).uniform(0.1, 10, NUM_TRIALS).tolist()
    plan = [(name, -1, name, {}) for name in ANCHORS]
    plan += [(f"{i:04d}", i, "adversarial", {"penalty.weight": w}) for i, w in enumerate(weights)]
    for name, number, method, params in plan:
        recipe = SPACE.recipe(params, method=method)
        trial = Trial(name, number, method, params, recipe.fingerprint(), TrialState.COMPLETE)
        file = "" if number < 0 else f"trials/{name}/anonymizer.safetensors"
        score = measured(RungJob(name, recipe, "", 0, 90, True, None))
        ledger.append(trial, RungReport(name, 0, 90, score, (), 1.0, "here", file))
        (directory / "trials" / name).mkdir(parents=True)
        if file:
            (directory / file).touch()
    return directory


def trials_of(directory: Path) -> list[Trial]:
    return Ledger(directory / "ledger").trials()


def calls(file: Path) -> list[list[str]]:
    return [line.split() for line in file.read_text().splitlines()]


def assert_verified(directory: Path, num_seeds: int) -> list[Trial]:
    """Check that every candidate has all repeats, measured with the same seeds, and return the repeated trials."""
    trials = trials_of(directory)
    repeated = [t for t in trials if t.repeats]
    assert {t.id for t in front_candidates(trials)} == {t.id for t in repeated} >= set(ANCHORS)
    assert {tuple(r.number for r in t.repeats) for t in repeated} == {tuple(range(1, num_seeds + 1))}
    assert len({tuple(r.score.seed for r in t.repeats) for t in repeated}) == 1
    assert all(r.score.seed != t.score.seed for t in repeated for r in t.repeats)
    identity = next(t for t in trials if t.id == "identity")
    for trial in repeated:
        for repeat, raw in zip(trial.repeats, identity.repeats, strict=True):
            assert repeat.score.leakage.ceiling == raw.score.leakage.value
            assert repeat.score.accuracy.ceiling == raw.score.accuracy.value
    front = ParetoFront.of(trials)
    assert front.is_verified
    assert {t.id for t in front.members} <= {t.id for t in repeated}
    return repeated


@pytest.mark.usefixtures("shared_ray")
def test_a_front_is_verified_grown_and_trained_again(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", beside=2)
    before = {t.id: t for t in trials_of(study)}
    steps: list[VerifyStep] = []
    verify_study(study, ToyBody(str(tmp_path / "one"), (("0003", "killed once"),)), 2, on_step=steps.append)
    repeated = assert_verified(study, 2)
    assert len(steps) == 2 * len(repeated)
    assert (steps[-1].done, steps[-1].total, steps[-1].left_s) == (len(steps), len(steps), 0)
    done = calls(tmp_path / "one")
    for seed in {seed for _, _, seed, _ in done}:
        assert next(name for name, _, other, _ in done if other == seed) == "identity"
    killed = [name for (name, *_), count in Counter(map(tuple, done)).items() if count > 1]
    assert killed == ["0003"]
    for trial in trials_of(study):  # the results of the study have not changed
        assert replace(trial, repeats=()) == before[trial.id]
    assert not [p for p in (study / "trials").glob("*/repeat-*")]

    # Again, there is nothing to do; with more seeds only the new ones are; in another run the same comes out.
    verify_study(study, ToyBody(str(tmp_path / "two")), 2)
    assert not (tmp_path / "two").exists()
    verify_study(study, ToyBody(str(tmp_path / "three")), 3)
    grown = assert_verified(study, 3)
    had = {t.id for t in repeated}
    assert {(name, folder) for name, folder, *_ in calls(tmp_path / "three") if name in had} == {
        (name, "repeat-3") for name in had
    }
    assert [t.repeats[:2] for t in grown if t.id in had] == [t.repeats for t in repeated]

    # Retrained repeats replace the others; anchors have nothing to train.
    verify_study(study, ToyBody(str(tmp_path / "four")), 3, retrain=True)
    for trial in assert_verified(study, 3):
        seeds = {r.training_seed for r in trial.repeats}
        assert seeds == {0} if trial.is_anchor else len(seeds) == 3 and 0 not in seeds
        assert (study / "trials" / trial.id / "repeat-3").exists() != trial.is_anchor
    assert not {name for name, *_ in calls(tmp_path / "four")} & set(ANCHORS)
    with pytest.raises(StudyError, match=r"its repeats were trained anew and do not compare with .*\. Add --retr"):
        verify_study(study, ToyBody(str(tmp_path / "five")), 4)


@pytest.mark.usefixtures("shared_ray")
def test_what_cannot_be_measured_is_said_and_the_rest_is_kept(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study")
    wrong = next(t.id for t in front_candidates(trials_of(study)) if not t.is_anchor)
    with pytest.raises(StudyError, match=rf"2 repeats .*repeat 1 of trial '{wrong}': clips: must not be empty"):
        verify_study(study, ToyBody(str(tmp_path / "one"), ((wrong, "bad clips"),)), 2)
    assert [t.id for t in front_candidates(trials_of(study)) if not t.repeats] == [wrong]
    with pytest.raises(StudyError, match=r"2 repeats .*repeat 3 of trial 'identity'"):
        verify_study(study, ToyBody(str(tmp_path / "two"), (("identity", "bad clips"),)), 4)
    verify_study(study, ToyBody(str(tmp_path / "three")), 4)
    assert_verified(study, 4)


@pytest.mark.usefixtures("shared_ray")
def test_a_signal_stops_and_the_next_run_takes_what_is_missing(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study")
    handlers = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]

    def stop_at_fifth(step: VerifyStep) -> None:
        if step.done == 5:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(StudyInterrupted, match=r"stopped\. Go on with the same command"):
        verify_study(study, ToyBody(str(tmp_path / "one"), seconds=0.1), 3, on_step=stop_at_fifth)
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert_goes_on(study, tmp_path / "two")


@pytest.mark.usefixtures("shared_ray")
def test_a_killed_driver_loses_no_repeat(processes: Any, tmp_path: Path) -> None:
    study = write_study(tmp_path / "study", beside=2)  # the first may hang while another is measured
    driver = processes.start("driver", [sys.executable, __file__, str(study)])
    processes.wait_until(lambda: sum(len(t.repeats) for t in trials_of(study)) >= 4, "driver", driver)
    with pytest.raises(StudyError, match="another process is running this study, got pid"):
        verify_study(study, ToyBody(str(tmp_path / "none")))
    driver.kill()
    processes.ended(driver)
    assert_goes_on(study, tmp_path / "two")


def assert_goes_on(study: Path, log: Path) -> None:
    """Continue a verification and compare it with its earlier state."""
    before = {(t.id, r.number): r for t in trials_of(study) for r in t.repeats}
    verify_study(study, ToyBody(str(log)), 3)
    after = {(t.id, r.number): r for t in assert_verified(study, 3) for r in t.repeats}
    assert {pair: after[pair] for pair in before} == before
    redone = {(name, int(folder.removeprefix("repeat-"))) for name, folder, *_ in calls(log)}
    assert redone == after.keys() - before.keys()


def test_there_must_be_something_to_verify(tmp_path: Path) -> None:
    freeze_study(tmp_path, SPACE, StudySettings())
    with pytest.raises(StudyError, match="nothing to verify: no trial has a full score yet"):
        verify_study(tmp_path, ToyBody(str(tmp_path / "none")))
    with pytest.raises(StudyError, match=r"no study there"):
        verify_study(tmp_path / "nowhere", ToyBody(str(tmp_path / "none")))
    assert not (tmp_path / "nowhere").exists()


def test_weights_that_are_gone_are_named_before_anything_is_measured(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study")
    lost = next(t.id for t in front_candidates(trials_of(study)) if not t.is_anchor)
    file = study / "trials" / lost / "anonymizer.safetensors"
    file.unlink()
    with pytest.raises(StudyError, match=rf"trial {lost}: its weights are missing: {file}\. .*--retrain"):
        verify_study(study, ToyBody(str(tmp_path / "none")))
    assert not (tmp_path / "none").exists()
    with driver_lock(study), pytest.raises(StudyError, match="another process is running this study"):
        verify_study(study, ToyBody(str(tmp_path / "none")))


if __name__ == "__main__":
    verify_study(sys.argv[1], ToyBody(f"{sys.argv[1]}.calls", seconds=0.3, stuck="repeat-3"), 3)
