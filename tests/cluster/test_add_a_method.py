"""The search space of docs/add-a-method.md runs once the page's package is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors import safe_open

from anon_tune.ledger import Ledger
from anon_tune.trial import TrialState

pytestmark = pytest.mark.cluster


def test_the_search_space_of_the_page_runs_and_its_term_is_in_the_ledger(
    example_package: Path, example_installed: Path, tmp_path: Path, tiny_study: Callable[..., list[str]]
) -> None:
    known = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    known |= {"PYTHONPATH": f"{example_installed}:{Path(__file__).parents[2]}", "OMP_NUM_THREADS": "1"}
    out = tmp_path / "study"

    def run(*words: object) -> str:
        command = [sys.executable, "-m", "anon_tune", *map(str, words)]
        done = subprocess.run(command, env=known, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    run("study", example_package / "space.toml", *tiny_study(out, trials=3, num_steps=4), "--no-rungs")
    front = json.loads(run("front", out, "--all", "--format", "json"))
    assert {trial["method"] for trial in front["trials"]} == {"identity", "black-out", "halve:0.25", "tint"}
    assert {trial["state"] for trial in front["trials"]} == {"COMPLETE"}

    trials = Ledger(out / "ledger").trials()
    assert all(trial.state is TrialState.COMPLETE for trial in trials)
    for trial in trials:
        points = [point for report in trial.reports for point in report.curve]
        assert (len(points) == 4) is (trial.method == "tint")
        assert all(point.terms["smoothness"] > 0 for point in points)

    tint = next(trial for trial in trials if trial.method == "tint")
    run("export", out, "--trial", tint.id, "-o", "tint.safetensors")
    with safe_open(tmp_path / "tint.safetensors", framework="pt") as file:
        assert {"picture", "cover"} <= set(file.keys())
