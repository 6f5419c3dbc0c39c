"""A ledger may come from a stranger. None of its text reaches a terminal as a control sequence or as markup."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from anon_tune.cli.study_progress import StudyProgress
from anon_tune.commands.results import read_trials
from anon_tune.errors import DataError, on_one_line
from anon_tune.ledger import Ledger
from anon_tune.pareto import ParetoFront
from anon_tune.search.space import SearchSpace
from anon_tune.study.frozen_study import freeze_study
from anon_tune.study.settings import StudySettings
from anon_tune.trial import Reading, RungReport, Score, Trial, TrialState
from anon_tune.video.folder_files import printable

SPACE = SearchSpace.from_tables({"search": {"penalty.weight": {"low": 0.1, "high": 10.0}}}, "toy.toml")
CLEARS = "\x1b[2J\x1b]0;owned\x07\x9b31m\r\n[/b]"
SHOWN = "?[2J?]0;owned??31m??[/b]"


def trial(name: str, number: int, value: float, state: TrialState) -> tuple[Trial, RungReport | None]:
    """A trial that says `CLEARS` wherever a trial says something."""
    reading = Reading(value, 0.1, 0.9, value, value, value)
    score = Score(True, reading, reading, {}, {}, 0.0, 1, 1, 0, 1.0)
    report = RungReport(name, 0, 1, score, (), 1.0, CLEARS, "")
    is_scored = state is TrialState.COMPLETE
    method, params = (name, {}) if number < 0 else (f"narrow{CLEARS}", {f"a{CLEARS}": f"b{CLEARS}"})
    now = time.time()
    made = Trial(name, number, method, params, "f", state, (report,) * is_scored, "", 1.0, now, now)
    return (made, report) if is_scored else (made, None)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study of somebody else: an anchor, a scored trial, one that failed, and one under way."""
    directory = tmp_path / "study"
    freeze_study(directory, SPACE, StudySettings(num_trials=4))
    ledger = Ledger(directory / "ledger")
    ledger.append(*trial("identity", -1, 0.9, TrialState.COMPLETE))
    ledger.append(*trial(f"0000{CLEARS.replace('/', '')}", 0, 0.5, TrialState.COMPLETE))
    ledger.append(trial("0002", 2, 0.5, TrialState.RUNNING)[0])
    failed = Trial("0001", 1, f"narrow{CLEARS}", {}, "f", TrialState.FAILED, (), CLEARS, 1.0, time.time(), time.time())
    ledger.append(failed)
    return directory


def test_names_of_files_keep_what_names_have_and_lose_what_moves_a_terminal() -> None:
    name = "screen\u202f\xa0\N{MAN}\u200d\N{GIRL}.mp4"  # as macOS and people write them
    assert printable(name) == name and on_one_line("\u202f\xa0") == "\u202f\xa0"
    assert printable("a\u202e4pm.exe\u2028") == r"a\u202e4pm.exe\u2028"
    assert printable(f"a{CLEARS}") == r"a\x1b[2J\x1b]0;owned\x07\x9b31m\x0d\x0a[/b]"


def test_an_error_is_one_line_whatever_it_quotes() -> None:
    error = DataError(f"a{CLEARS}", f"must be b{CLEARS}", CLEARS, f"Do c{CLEARS}", f"d{CLEARS}")
    assert is_harmless(str(error)) and str(error).splitlines() == [str(error)] and "b?[2J" in str(error)
    assert error.reason in str(error)


def is_harmless(text: str) -> bool:
    return all(one.isprintable() or one == "\n" for one in text)


@pytest.mark.parametrize("words", [["front", "--all"], ["status"], ["table"], ["table", "--format", "latex"]])
def test_what_is_printed_has_no_control_sequence(study: Path, say: Callable[..., Any], words: list[str]) -> None:
    said = say(*words, study)
    assert said.code == 0 and is_harmless(said.out + said.err)
    assert "0;owned" in said.out


def test_json_has_the_text_as_it_is(study: Path, say: Callable[..., Any]) -> None:
    said = say("front", study, "--format", "json")
    assert is_harmless(said.out)
    assert f"narrow{CLEARS}" in {row["method"] for row in json.loads(said.out)["trials"]}


def test_an_error_has_no_control_sequence(study: Path, say: Callable[..., Any]) -> None:
    said = say("export", study, "--trial", f"x{CLEARS}", "-o", "a.safetensors")
    assert said.code == 2 and is_harmless(said.err) and SHOWN in said.err


def test_a_front_in_python_has_no_control_sequence(study: Path) -> None:
    shown = repr(ParetoFront.of(read_trials(study)))
    assert is_harmless(shown) and SHOWN in shown


@pytest.mark.parametrize("is_terminal", [True, False])
def test_the_progress_of_a_study_shows_no_control_sequence_and_no_markup(study: Path, is_terminal: bool) -> None:
    written = io.StringIO()
    console = Console(file=written, force_terminal=is_terminal, width=200, color_system=None, legacy_windows=False)
    trials = read_trials(study)
    with StudyProgress(4, console) as progress:
        progress.show([one for one in trials if not one.state.is_final])
        progress.show(trials)
    assert "\x1b]0" not in written.getvalue() and "\x9b" not in written.getvalue()
    assert "?]0;owned" in written.getvalue()


def test_what_is_said_of_a_clip_store_has_no_control_sequence(
    say: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = SimpleNamespace(split=f"train{CLEARS}", frame_truth=None)
    names = {"actions": [f"walk{CLEARS}"], "attributes": {f"skin{CLEARS}": 2}}
    manifest = SimpleNamespace(entries=[entry], windows=None, shape=(8, 48, 64, 3), **names)
    store = SimpleNamespace(location="/store", manifest=manifest)
    monkeypatch.setattr("anon_tune.clips.open_clips", lambda location: store)
    said = say("clips", "info", "/store")
    assert said.code == 0 and is_harmless(said.out) and said.out.count(SHOWN) == 3
