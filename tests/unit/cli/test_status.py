from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from anon_tune.cli.status import show_status
from anon_tune.commands.status import StudyStatus, study_status
from anon_tune.commands.study_view import StudyView
from anon_tune.errors import StudyError
from anon_tune.ledger import Ledger
from anon_tune.pareto import ParetoFront
from anon_tune.search.choices import Choice
from anon_tune.search.points import num_points
from anon_tune.search.space import SearchSpace
from anon_tune.study import load_study
from anon_tune.study.lock import driver_lock
from anon_tune.study_directory import StudyDirectory
from anon_tune.trial import TrialState


@pytest.fixture
def copied(small_study: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_study, tmp_path / "study"))


def test_a_running_study_says_where_it_stands(copied: Path) -> None:
    with driver_lock(copied):
        status = study_status(str(copied))
        assert study_status(f"file://{copied}") == status
    trials = {t.id: t for t in Ledger(copied / "ledger").trials()}
    document = status.to_json()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    states = {"WAITING": 0, "RUNNING": 1, "COMPLETE": 2, "PRUNED": 1, "FAILED": 0, "TO_COME": 0}
    assert (document["states"], document["num_trials"], document["is_complete"]) == (states, 4, False)
    running = {"trial": "0003", "method": "adversarial", "rung": 0, "step": 3, "since": trials["0003"].ended}
    assert document["running"] == [running]
    assert document["last_record"] == max(t.ended for t in trials.values())
    view = StudyView.of([*trials.values()], load_study(copied)[1].num_trials)
    assert (document["hypervolume_validation"], document["left_s"]) == (view.hypervolume, view.left_s)
    assert document["driver"] == f"pid {os.getpid()} on {socket.gethostname()}"
    assert document["hypervolume"] == ParetoFront.of([*trials.values()]).hypervolume


def test_a_study_that_no_driver_holds_does_not_run(copied: Path, say: Callable[..., Any]) -> None:
    with driver_lock(copied):
        pass  # as a driver leaves it that was killed in the middle of trial 0003
    status = study_status(copied)
    assert (status.driver, status.to_json()["left_s"], status.is_complete) == (None, None, False)
    assert (status.states["RUNNING"], [trial.id for trial in status.running]) == (1, ["0003"])
    said = say("status", copied, "--watch", "0.1").out  # ends by itself
    assert f"no driver holds this study (go on with: anon-tune resume {copied}), last record" in said
    assert "2 complete, 1 pruned" in said and "1 unfinished" in said
    assert "left" not in said and "running" not in said
    one_update = say("status", copied, "--watch", "0.1", "--format", "json").out
    assert json.loads(one_update) == status.to_json() and one_update.count("\n") == 1  # so that lines can be read
    assert say("status", copied, "--format", "json").out.count("\n") > 1
    StudyDirectory.at(copied).mark_as_copy("s3://bucket/study")
    assert "a copy of s3://bucket/study, which may have gone on since" in say("status", copied).out


def test_a_study_is_complete_when_its_trials_and_anchors_are_over(small_study: Path) -> None:
    trials = [replace(t, state=TrialState.COMPLETE) for t in Ledger(small_study / "ledger").trials()]
    assert StudyStatus.of("runs/x", trials, 4).is_complete
    longer, empty = StudyStatus.of("runs/x", trials, 5), StudyStatus.of("runs/x", [], 4)
    assert not longer.is_complete and longer.states["TO_COME"] == 1
    assert not StudyStatus.of("runs/x", trials[1:], 4).is_complete
    assert not empty.is_complete and empty.last_record is None


def test_a_study_is_complete_when_its_driver_hands_out_no_more(small_study: Path, tmp_path: Path) -> None:
    directory = tmp_path / "study"
    shutil.copytree(small_study, directory)
    ledger = Ledger(directory / "ledger")
    for trial in ledger.trials():
        if not trial.state.is_final:
            ledger.append(replace(trial, state=TrialState.FAILED))
    text = (directory / "study.toml").read_text()
    (directory / "study.toml").write_text(text.replace("num_trials = 4", "num_trials = 40"))
    with driver_lock(directory):
        before = study_status(directory)
    assert (before.is_complete, before.states["TO_COME"]) == (False, 36) and before.left_s > 0
    (directory / "ended.txt").write_text("40 seconds are over")  # as `run_study` leaves it
    after = study_status(directory)
    assert (after.is_complete, after.states["TO_COME"], after.left_s) == (True, 0, 0)


def test_a_grid_of_fewer_points_makes_a_study_shorter() -> None:
    tables = {"search": {"method": {"choices": ["blur:1", "blur:2", "blur:3"]}}, "study": {"name": "grid"}}
    space = SearchSpace.from_tables(tables, "grid.toml")
    assert [num_points(space, "grid", trials, 0) for trials in (2, 3, 32)] == [2, 3, 3]
    assert num_points(space, "random", 32, 0) == 32


def test_the_last_failures_are_told_with_their_reasons(small_study: Path) -> None:
    trials = Ledger(small_study / "ledger").trials()
    late = [
        replace(
            trials[-1], id=f"{n:04}", number=n, state=TrialState.FAILED, reason=f"reason {n} [/b]", ended=1000.0 + n
        )
        for n in range(4, 11)
    ]
    why = Choice("sampler", "TPE", "choices or conditions are searched, which a Gaussian process does not take")
    status = StudyStatus.of("runs/x", [*trials, *late], 20, driver="pid 1 on here", choices=[why])
    assert [trial.id for trial in status.failures] == ["0010", "0009", "0008", "0007", "0006"]
    said = show_status(status, 1070.0, 120)
    assert "0010 FAILED 1:00 ago: reason 10 [/b]" in said and "runs/x: 20 trials: 1 running" in said
    assert max(map(len, show_status(status, 1070.0, 60).splitlines())) <= 60


def test_where_no_study_is_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no study there"):
        study_status(str(tmp_path))
