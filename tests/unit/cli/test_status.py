from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from anon_tune.cli.status import show_status
from anon_tune.commands.status import status_document, study_status
from anon_tune.commands.study_view import StudyView
from anon_tune.errors import StudyError
from anon_tune.ledger import Ledger
from anon_tune.pareto import front_document
from anon_tune.study import load_study
from anon_tune.trial import TrialState


def test_a_running_study_says_where_it_stands(small_study: Path) -> None:
    status = study_status(str(small_study))
    trials = {t.id: t for t in Ledger(small_study / "ledger").trials()}
    assert json.loads(json.dumps(status, allow_nan=False)) == status
    states = {"WAITING": 0, "RUNNING": 1, "COMPLETE": 2, "PRUNED": 1, "FAILED": 0, "TO_COME": 0}
    assert (status["states"], status["num_trials"], status["is_complete"]) == (states, 4, False)
    running = {"trial": "0003", "method": "adversarial", "rung": 0, "step": 3, "since": trials["0003"].ended}
    assert status["running"] == [running]
    assert status["last_record"] == max(t.ended for t in trials.values())
    view = StudyView.of([*trials.values()], load_study(small_study)[1].num_trials)
    assert (status["hypervolume_validation"], status["left_s"]) == (view.hypervolume, view.left_s)
    assert study_status(f"file://{small_study}") == status
    assert status["hypervolume"] == front_document([*trials.values()])["hypervolume"]


def test_a_study_is_complete_when_its_trials_and_anchors_are_over(small_study: Path) -> None:
    trials = [replace(t, state=TrialState.COMPLETE) for t in Ledger(small_study / "ledger").trials()]
    assert status_document(trials, 4)["is_complete"]
    assert not status_document(trials, 5)["is_complete"] and status_document(trials, 5)["states"]["TO_COME"] == 1
    assert not status_document(trials[1:], 4)["is_complete"]
    assert not status_document([], 4)["is_complete"] and status_document([], 4)["last_record"] is None


def test_the_last_failures_are_told_with_their_reasons(small_study: Path) -> None:
    trials = Ledger(small_study / "ledger").trials()
    late = [
        replace(
            trials[-1], id=f"{n:04}", number=n, state=TrialState.FAILED, reason=f"reason {n} [/b]", ended=1000.0 + n
        )
        for n in range(4, 11)
    ]
    status = status_document([*trials, *late], 20) | {"study": "runs/x"}
    assert [row["trial"] for row in status["failures"]] == ["0010", "0009", "0008", "0007", "0006"]
    console = Console(width=120, record=True)
    console.print(show_status(status, 1070.0))
    said = console.export_text()
    assert "0010 FAILED 1:00 ago: reason 10 [/b]" in said and "runs/x: 20 trials: 1 running" in said


def test_where_no_study_is_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="Give the directory of a study"):
        study_status(str(tmp_path))
