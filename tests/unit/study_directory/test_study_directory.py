"""The names in a study directory, and that no other file of the package spells one of them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import anon_tune
from anon_tune.errors import StudyError
from anon_tune.study_directory import StudyDirectory, is_output, is_result, output_folders, recorded_weights

PACKAGE = Path(anon_tune.__file__).parent
OWN = re.compile(
    r"study\.toml|optuna\.journal|preview\.png|anonymizer\.safetensors|trainer\.safetensors|report\.html|begun\.json"
    r"|hung\.txt|ray_train|warm_start\.json|tune\.log|repeat-|\.lock"
)
"""Names that mean nothing else anywhere."""

COMMON = {"ledger", "trials", "audits", "clips", "tensorboard", "tune"}
"""Names that are also words; they count where they are joined to a place."""

CALLS = {"has", "read", "write", "remove", "reading", "writing", "File"}


def spelled(source: str) -> Iterator[str]:
    """Yield the names of a study directory that a source spells; prose and docstrings are none."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value.strip():
            if OWN.search(node.value):
                yield node.value
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            if isinstance(node.right, ast.Constant) and str(node.right.value).partition("/")[0] in COMMON:
                yield str(node.right.value)
        elif isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            for given in node.args if called in CALLS else ():
                if isinstance(given, ast.Constant) and str(given.value).partition("/")[0] in COMMON:
                    yield str(given.value)


def test_no_other_file_spells_a_name_of_a_study_directory() -> None:
    allowed = {  # a lock of another kind, and the built-in clips before they are anywhere
        "clips/node_cache.py": {".lock", "clips"},
    }
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        name = file.relative_to(PACKAGE).as_posix()
        names = set(spelled(file.read_text(encoding="utf-8"))) - allowed.get(name, set())
        if names and name != "study_directory.py":
            found[name] = names
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        'folder / "ledger"',
        'folder.has("study.toml")',
        'f"{folder}/optuna.journal"',
        'X = "trainer.safetensors"',
        'folder.read("audits/1.json")',
    ],
)
def test_a_spelled_name_is_found(source: str) -> None:
    assert list(spelled(source))


def test_prose_spells_nothing() -> None:
    assert not list(
        spelled('def f():\n    """Reads study.toml."""\n    help = "Writes DIR/report.html."\n    row["trials"]')
    )


def test_a_place_without_a_study_is_one_line(tmp_path: Path) -> None:
    study = StudyDirectory.at(tmp_path)
    with pytest.raises(StudyError, match=r"no study there\. Give the directory that 'study --out' wrote\.$"):
        study.check()
    study.frozen.write(b"")
    study.check()


def test_what_is_fetched_is_what_the_places_say(tmp_path: Path) -> None:
    study = StudyDirectory.at(tmp_path)
    trial = study.trial("0001")
    results = [study.frozen, study.report, study.certificate("0001")]
    outputs = [trial.weights, trial.preview, trial.repeat(2).weights]
    others = [study.lock, study.journal, trial.checkpoint, trial.begun]
    for file in (*results, *outputs, *others):
        file.write(b"x")
        name = file.path.relative_to(tmp_path).as_posix()
        assert (is_result(name), is_output(name)) == (file in results, file in outputs), name
    assert is_result("ledger/00000000-00000063.parquet") and not is_result("ledger/../study.toml")
    assert study.weights(recorded_weights("0001")).path == trial.weights.path
    assert output_folders(study) == ["trials/0001", "trials/0001/repeat-2"]
    trial.tidy()
    assert not trial.checkpoint.exists() and trial.weights.exists()
