"""The search space of docs/add-a-method.md runs once the page's package is installed."""

from __future__ import annotations

import json
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
    environment: Callable[[], dict[str, str]],
    example_package: Path,
    example_installed: Path,
    tmp_path: Path,
    tiny_study: Callable[..., list[str]],
) -> None:
    known = environment() | {"PYTHONPATH": f"{example_installed}:{Path(__file__).parents[2]}"}
    out = tmp_path / "study"

    # One process for all commands, as each takes seconds to load what it needs.
    commands = [
        ["study", example_package / "space.toml", *tiny_study(out, trials=3, num_steps=4), "--no-rungs"],
        ["front", out, "--all", "--format", "json"],
        ["export", out, "--trial", "TINT", "-o", "tint.safetensors"],
    ]
    program = """
import json, sys
from anon_tune.__main__ import main
from anon_tune.ledger import Ledger
for words in json.loads(sys.argv[1]):
    if "TINT" in words:
        tint = next(trial.id for trial in Ledger(f"{words[1]}/ledger").trials() if trial.method == "tint")
        words[words.index("TINT")] = tint
    sys.argv = ["anon-tune", *words]
    try:
        main()
    except SystemExit as end:
        assert not end.code, (words, end.code)
"""
    call = [sys.executable, "-c", program, json.dumps([[str(word) for word in words] for words in commands])]
    done = subprocess.run(call, env=known, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    front = json.loads(done.stdout[done.stdout.index("{") : done.stdout.rindex("}") + 1])
    assert {trial["method"] for trial in front["trials"]} == {"identity", "black-out", "halve:0.25", "tint"}
    assert {trial["state"] for trial in front["trials"]} == {"COMPLETE"}

    trials = Ledger(out / "ledger").trials()
    assert all(trial.state is TrialState.COMPLETE for trial in trials)
    for trial in trials:
        points = [point for report in trial.reports for point in report.curve]
        assert (len(points) == 4) is (trial.method == "tint")
        assert all(point.terms["smoothness"] > 0 for point in points)
    with safe_open(tmp_path / "tint.safetensors", framework="pt") as file:
        assert {"picture", "cover"} <= set(file.keys())
