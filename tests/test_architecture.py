"""The order of imports between rooms, what each room may import, and what loading the package costs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "anon_tune"
ROOT = "anon_tune"

# A room imports itself and rooms of lower levels, never one of its own level. The tens are the rows of the design;
# the ones say which way imports run within a row.
LEVELS = {
    "errors": 10,
    "on_demand": 10,
    "address": 20,
    "entry_points": 20,
    "schedule": 20,
    "utility_task": 20,
    "folder": 30,
    "recipe": 30,
    "accounting": 35,
    "study_directory": 40,
    "trial": 40,
    "certificate": 40,
    "ledger": 50,
    "pareto": 50,
    "video": 50,
    "networks": 60,
    "clips": 60,
    "attackers": 70,
    "datasets": 70,
    "training": 71,
    "methods": 80,
    "evaluation": 90,
    "search": 90,
    "study": 100,
    "trackers": 101,
    "worker": 100,
    "report": 102,
    "export": 101,
    "driver": 110,
    "cluster": 111,
    "commands": 120,
    "dashboard": 130,
    "cli": 131,
    "testing": 130,
    "__main__": 140,
}

THIRD_PARTY = {
    "errors": set(),
    "on_demand": set(),
    "accounting": {"dp_accounting", "numpy", "scipy"},
    "address": set(),
    "entry_points": set(),
    "schedule": {"pydantic"},
    "utility_task": set(),
    "folder": {"pyarrow"},
    "recipe": {"pydantic"},
    "certificate": {"pydantic"},
    "study_directory": set(),
    "trial": set(),
    "ledger": {"numpy", "pyarrow"},
    "pareto": {"moocore", "numpy"},
    "video": {"PIL", "av", "numpy"},
    "clips": {"av", "numpy", "pyarrow", "torch"},
    "networks": {"safetensors", "segmentation_models_pytorch", "timm", "torch", "torchvision"},
    "training": {"torch"},
    "methods": {"cv2", "numpy", "pydantic", "scipy", "torch"},
    "datasets": {"av", "numpy"},
    "attackers": {"numpy", "torch"},
    "evaluation": {"numpy", "sklearn", "torch"},
    "search": {"numpy", "optuna", "pydantic", "scipy"},
    "study": {"numpy", "pydantic", "tomli_w"},
    "trackers": {"mlflow", "optuna", "tensorboard", "wandb"},
    "worker": {"cv2", "numpy", "ray", "torch"},
    "report": {"numpy", "plotly"},
    "export": {"onnx", "onnxruntime", "torch"},
    "driver": {"grpc", "ray"},
    "cluster": {"botocore", "jsonschema", "ray", "yaml"},
    "commands": {"pandas", "torch"},
    "dashboard": {"starlette", "uvicorn"},
    "cli": {"rich", "typer"},
    "testing": {"numpy", "torch"},
    "__main__": set(),
}

BANNED_MODULES = {"utils", "util", "helpers", "helper", "common", "core", "base", "misc"}
MAX_LINES, MAX_FUNCTION, MAX_CLASS = 350, 60, 200
KNOWS_TUNE = "driver/tune_executor.py"

SOURCES = sorted(PACKAGE.rglob("*.py"))


def room_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(source: str) -> Iterator[str]:
    """Yield every module that a source imports, also lazily or by its name in a string."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield "." * node.level + (node.module or "")
            else:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and re.fullmatch(rf"{ROOT}(\.\w+)+", str(node.value)):
            yield str(node.value)


def broken_rules(room: str, source: str) -> list[str]:
    """Return the modules that a source imports although its room must not."""
    broken = []
    for module in imported(source):
        top, _, rest = module.partition(".")
        other = rest.partition(".")[0]
        if not top:
            broken.append(f"{module}: imports are absolute")
        elif top == ROOT and other != room and LEVELS.get(other, 0) >= LEVELS[room]:
            broken.append(f"{module}: {room} (level {LEVELS[room]}) may not import {other}")
        elif top == "ray" and other == "train" and room != "worker":
            broken.append(f"{module}: only worker knows Ray Train")
        elif top not in {ROOT, *sys.stdlib_module_names, *THIRD_PARTY[room]}:
            broken.append(f"{module}: {room} may not import {top}")
    return broken


def test_every_room_has_a_level() -> None:
    rooms = {room_of(file) for file in SOURCES} - {"__init__"}
    assert rooms == LEVELS.keys() == THIRD_PARTY.keys()


@pytest.mark.parametrize("file", SOURCES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_imports_run_downwards(file: Path) -> None:
    room = room_of(file)
    source = file.read_text(encoding="utf-8")
    if room == "__init__":  # loads a room when a name of it is asked for
        assert not [m for m in imported(source) if m.partition(".")[0] not in (*sys.stdlib_module_names, ROOT)]
    else:
        assert not broken_rules(room, source)


def test_no_allowance_is_left_over() -> None:
    used: dict[str, set[str]] = {room: set() for room in THIRD_PARTY}
    for file in SOURCES:
        if room_of(file) in used:
            used[room_of(file)] |= {m.partition(".")[0] for m in imported(file.read_text(encoding="utf-8"))}
    left_over = {room: sorted(allowed - used[room]) for room, allowed in THIRD_PARTY.items()}
    assert not {room: names for room, names in left_over.items() if names}


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("study", "import torch"),
        ("study", "def f():\n    from torch import nn"),
        ("study", "import ray"),
        ("study", "from anon_tune.driver import run_study"),
        ("search", "import ray"),
        ("search", "from anon_tune.folder import Folder\nfrom anon_tune.study import load_study"),
        ("driver", "import optuna"),
        ("clips", "from anon_tune.datasets import import_folder"),
        ("study", "if True:\n    from ray import train"),
        ("study", "import ray.train.torch"),
        ("training", "def f():\n    import ray"),
        ("training", "from anon_tune.evaluation import measure"),
        ("evaluation", "from anon_tune import worker"),
        ("study", "from anon_tune.report import write_report"),
        ("folder", "from anon_tune.study_directory import StudyDirectory"),
        ("recipe", "from anon_tune.trial import Trial"),
        ("recipe", "from anon_tune.methods import find"),
        ("trial", "from anon_tune.methods import find"),
        ("training", "from anon_tune.methods import build_anonymizer"),
        ("networks", 'LAZY = {"x": "anon_tune.training.losses"}'),
        ("clips", "from .store import Clips"),
        ("errors", "import numpy"),
    ],
)
def test_a_wrong_import_is_found_wherever_it_stands(room: str, source: str) -> None:
    assert broken_rules(room, source)


@pytest.mark.parametrize("file", SOURCES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_a_file_is_short_and_well_named(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    assert file.stem not in BANNED_MODULES
    assert file.parent.name not in BANNED_MODULES
    assert not re.search("budget", text, re.IGNORECASE)


def test_one_file_knows_ray_tune() -> None:
    files = {str(file.relative_to(PACKAGE)) for file in SOURCES if names_tune(file.read_text(encoding="utf-8"))}
    assert files == {KNOWS_TUNE}


def names_tune(source: str) -> bool:
    """Return whether a source names Ray Tune as a module, in its code or in its words."""
    return bool(re.search(r"\bray\.(tune|air)\b|from ray import (.*, *)?(tune|air)\b", source))


@pytest.mark.parametrize(
    "source",
    ["import ray.tune", "from ray.tune.search import Searcher", "from ray import tune", '"""See `ray.tune.Tuner`."""'],
)
def test_ray_tune_is_found_wherever_it_is_named(source: str) -> None:
    assert names_tune(source)


def too_long(source: str) -> list[str]:
    """Return the names of the functions and classes that are too long."""
    limits = {ast.FunctionDef: MAX_FUNCTION, ast.AsyncFunctionDef: MAX_FUNCTION, ast.ClassDef: MAX_CLASS}
    found = [(node, limits[type(node)]) for node in ast.walk(ast.parse(source)) if type(node) in limits]
    return [node.name for node, most in found if node.end_lineno - node.lineno + 1 > most]


@pytest.mark.parametrize("file", SOURCES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_functions_and_classes_are_short(file: Path) -> None:
    assert not too_long(file.read_text(encoding="utf-8"))


def test_a_long_function_or_class_is_found() -> None:
    body = "    x = 1\n" * 60
    assert too_long(f"def f():\n{body}") == ["f"] and too_long(f"def f():\n{body[10:]}") == []
    assert too_long("class C:\n" + "    x = 1\n" * 200) == ["C"]


SLOW = {"torch", "ray", "optuna", "scipy", "sklearn"}
SLOWISH = {"moocore", "numpy", "pandas", "pyarrow", "pydantic"}  # a help text has no need of these either


def loaded_after(statement: str, packages: set[str] = SLOW) -> set[str]:
    """Run a statement in a fresh interpreter; return which of the packages it loaded."""
    code = f"import sys\n{statement}\nprint(sorted({packages} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(ast.literal_eval(done.stdout.splitlines()[-1]))


def running(*arguments: str) -> str:
    """Return a statement that runs the command line."""
    return f"""
from anon_tune.cli import main
sys.argv = ["anon-tune", *{arguments!r}]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("import anon_tune; anon_tune.Recipe, anon_tune.Ledger, anon_tune.ParetoFront, anon_tune.Schedule", set()),
        ("import anon_tune.report.page", set()),
        ("from anon_tune.clips import open_clips", set()),
        (
            "import anon_tune.methods; anon_tune.methods.specs(); anon_tune.methods.make_recipe({'method': 'bdq'})",
            set(),
        ),
        ("import anon_tune.search.space, anon_tune.study.settings", set()),
        ("import anon_tune.cluster", set()),
        ("import anon_tune.driver.tune_executor", {"ray"}),  # in every worker
        ("import anon_tune.training, anon_tune.evaluation, anon_tune.export, anon_tune.worker", {"torch"}),
    ],
)
def test_nothing_slow_is_loaded_before_it_is_needed(statement: str, allowed: set[str]) -> None:
    assert loaded_after(statement) <= allowed


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("import anon_tune; dir(anon_tune)", set()),
        ("import anon_tune; anon_tune.run_study, anon_tune.open_study, anon_tune.audit, anon_tune.anonymize", set()),
        (running("--help"), set()),
        (running("--version"), set()),
        # typer loads pydantic for the options of a verb
        (running("study", "--help"), {"pydantic"}),
        (running("submit", "--help"), {"pydantic"}),
        (running("audit", "--help"), {"pydantic"}),
        (running("anonymize", "--help"), {"pydantic"}),
        (running("clips", "import", "--help"), {"pydantic"}),
        (running("cluster", "check", "--help"), {"pydantic"}),
    ],
)
def test_help_is_printed_at_once(statement: str, allowed: set[str]) -> None:
    assert loaded_after(statement, SLOW | SLOWISH) <= allowed


def test_the_study_never_reaches_torch() -> None:
    assert "torch" not in loaded_after("import anon_tune.driver.run, anon_tune.cli.study_progress")
