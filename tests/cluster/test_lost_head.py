"""Heads that are lost, and heads that take jobs from anybody, as a client sees them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anon_tune.ledger import Ledger
from anon_tune.trial import TrialState

pytestmark = pytest.mark.cluster
SPACE = "search_spaces/quickstart.toml"


def test_a_head_that_asks_for_no_token_is_refused(site: Any) -> None:
    site.processes.environment["RAY_AUTH_MODE"] = "disabled"
    site.head("open", 1)
    refused = site.client("status", "raysubmit_x", RAY_AUTH_MODE="token")
    assert refused.returncode == 2 and "takes jobs from anybody" in refused.stderr and refused.stderr.count("\n") == 1
    agreed = site.client("status", "raysubmit_x")
    assert agreed.returncode == 2 and "no such job" in agreed.stderr


def test_a_lost_head_costs_nothing_that_was_finished(
    site: Any, tmp_path: Path, tiny_study: Callable[..., list[str]]
) -> None:
    out, processes = tmp_path / "study", site.processes
    words = ["submit", SPACE, "--no-rungs", "--sampler", "random", *tiny_study(out, trials=2, num_steps=30)]

    def states() -> dict[str, TrialState]:
        return {trial.id: trial.state for trial in Ledger(out / "ledger").trials()}

    def complete() -> set[str]:
        return {name for name, state in states().items() if state is TrialState.COMPLETE}

    head = site.head("head", 1)
    job = site.ask(*words)
    processes.wait_for(lambda: "0000" in complete(), lambda: str(states()))
    with processes.held("ray::_Inner", head.pid):  # the second trial does not end before the head does
        processes.kill(head.pid)
    before = {trial.id: trial for trial in Ledger(out / "ledger").trials()}
    assert complete() == {"identity", "black-out", "0000"}
    gone = site.client("status", job)
    assert gone.returncode == 2 and "does not answer" in gone.stderr and gone.stderr.count("\n") == 1
    assert json.loads(site.ask("status", str(out), "--format", "json"))["states"]["COMPLETE"] == 1

    site.head("head-again", 1)
    done = site.client(*words, "--follow")
    assert done.returncode == 0, done.stderr[-4000:]
    assert complete() == {"identity", "black-out", "0000", "0001"}
    after = {trial.id: trial for trial in Ledger(out / "ledger").trials()}
    assert all(after[name] == trial for name, trial in before.items() if trial.state is TrialState.COMPLETE)
