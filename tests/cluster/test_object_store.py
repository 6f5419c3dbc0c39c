"""A study directory on an object store: the study is run, stopped, resumed, verified, read and exported there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anon_tune.folder import Folder
from anon_tune.ledger import Ledger
from anon_tune.methods import is_trained
from anon_tune.trial import TrialState

pytestmark = pytest.mark.cluster


@pytest.mark.usefixtures("shared_ray")
def test_a_study_lives_on_s3(
    processes: Any, say: Callable[..., Any], tmp_path: Path, s3: str, tiny_study: Callable[..., list[str]]
) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "ANON_TUNE_CACHE": str(tmp_path / "cache")}
    processes.environment |= keys
    out = s3.format("studies/first")
    folder = Folder.at(out)

    def states() -> dict[str, TrialState]:
        return {trial.id: trial.state for trial in Ledger(folder / "ledger").trials()}

    def run(*command: str) -> str:
        done = say(*command)
        assert done.code == 0, done.err[-4000:]
        return str(done.out)

    # The built-in clips go there too: whatever node a worker is on must find them. Killed with
    # the first trial trained and not yet measured in full.
    tiny = tiny_study(Path("unused"), trials=2, num_steps=30)
    study = ["search_spaces/quickstart.toml", *tiny, "--clips", "avatars", "--out", out, "--job-limit", "100"]
    driver = processes.start("killed", ["anon-tune", "study", *study])
    processes.wait_until(lambda: "0000" in states() and (folder / "trials/0000").names() != [], "killed", driver)
    processes.kill(driver.pid)
    before = {t.id: t.score for t in Ledger(folder / "ledger").trials() if t.state is TrialState.COMPLETE}
    assert "identity" in before

    said = run("resume", out)
    assert f"Report: {out}/report.html" in said
    after = {t.id: t for t in Ledger(folder / "ledger").trials()}
    assert after.keys() == {"identity", "black-out", "0000", "0001"}
    assert all(after[name].score == score for name, score in before.items())
    assert {t.state for t in after.values()} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert {"study.toml", "ledger", "trials", "report.html", "optuna.journal", "clips"} <= {*folder.names()}
    assert ".lock" not in folder.names()
    for name, trial in after.items():
        wanted = {"anonymizer.safetensors"} if is_trained(trial.method) else set()
        wanted |= {"preview.png", "preview.webm"} if trial.state is TrialState.COMPLETE else set()
        assert {*(folder / "trials" / name).names()} == wanted, name  # and no checkpoint of a trial that is over
    assert b"data:image/png;base64," in folder.read("report.html")

    run("verify", out, "--seeds", "1")
    document = json.loads(say("front", out, "--all", "--format", "json").out)
    assert {row["trial"] for row in document["trials"]} == after.keys()
    assert sum(row["num_repeats"] > 0 for row in document["trials"]) >= 3
    picked = next(t for t in after.values() if is_trained(t.method) and t.state is TrialState.COMPLETE)
    assert say("export", out, "--trial", picked.id, "-o", tmp_path / "picked.safetensors").code == 0
    assert say("report", out, "-o", tmp_path / "here.html").out.strip() == str(tmp_path / "here.html")
