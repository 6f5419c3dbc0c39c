"""A study with a method of a package that is not installed: it can be looked at, and not gone on with."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from anon_tune.ledger import Ledger
from anon_tune.trial import TrialState

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def foreign_study(small_study: Path, tmp_path: Path) -> Path:
    """A study whose method is searched, one choice of it being of a package that is gone, with a trial of that one."""
    folder = tmp_path / "study"
    shutil.copytree(small_study, folder)
    frozen = folder / "study.toml"
    text = frozen.read_text()
    assert text.count("[space.search.") == 1
    method = '[space.search.method]\nchoices = ["adversarial", "tint"]\n\n[space.search."tint.strength"]\n'
    method += 'low = 0.0\nhigh = 1.0\n\n[space.search."tint.strength".when]\nmethod = ["tint"]\n\n'
    frozen.write_text(text.replace("[space.search.", f"{method}[space.search.", 1))
    ledger = Ledger(folder / "ledger")
    model = next(trial for trial in ledger.trials() if trial.id == "0001")
    made = replace(model, id="0004", number=4, method="tint", params={"method": "tint", "tint.strength": 0.5})
    ledger.append(replace(made, state=TrialState.RUNNING, reports=()))
    for report in model.reports:
        ledger.append(replace(made, state=TrialState.RUNNING), replace(report, trial_id="0004"))
    ledger.append(made)
    return folder


def test_it_is_looked_at_as_any_other(say: Run, foreign_study: Path, tmp_path: Path) -> None:
    code, said, _ = say("front", foreign_study, "--all", "--format", "json")
    assert code == 0 and "tint" in {trial["method"] for trial in json.loads(said)["trials"]}
    code, said, _ = say("status", foreign_study, "--format", "json")
    assert code == 0 and json.loads(said)["num_trials"] == 4
    page = tmp_path / "page.html"
    assert say("report", foreign_study, "-o", page) == (0, f"{page}\n", "")
    assert "tint.strength" in page.read_text(encoding="utf-8")


def test_its_other_trials_are_exported(say: Run, foreign_study: Path, tmp_path: Path) -> None:
    file = tmp_path / "ours.safetensors"
    assert say("export", foreign_study, "--trial", "0001", "-o", file) == (0, f"{file}\n", "")


@pytest.mark.parametrize(
    "words",
    [
        ["export", "STUDY", "--trial", "0004", "-o", "a.safetensors"],
        ["audit", "STUDY", "--trial", "0004"],
        ["anonymize", "in.mp4", "-o", "out.mp4", "--study", "STUDY", "--trial", "0004"],
    ],
    ids=lambda words: words[0],
)
def test_what_needs_the_method_names_it_in_one_line(say: Run, foreign_study: Path, words: list[str]) -> None:
    code, _, said = say(*(str(foreign_study) if word == "STUDY" else word for word in words))
    (line,) = said.splitlines()
    assert code == 2
    assert line.startswith("error: trial 0004: unknown method 'tint'. If a package adds it, install that package. ")


@pytest.mark.parametrize("words", [["resume", "--trials", "6"], ["verify"]], ids=lambda words: words[0])
def test_what_goes_on_with_it_says_how_to_bring_the_package(say: Run, foreign_study: Path, words: list[str]) -> None:
    code, _, said = say(words[0], foreign_study, *words[1:])
    (line,) = said.splitlines()
    assert code == 2
    assert "the study uses the method 'tint', which is of a package that is not installed here. Install" in line
    assert line.endswith("with --package.")
