"""Studies without a result, as a user types them: every trial fails, breaks a constraint, or fits nowhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from anon_tune.networks import save_weights

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("shared_ray")]


def test_a_study_whose_every_trial_fails_ends_with_the_first_reason(
    say: Callable[..., Any], tiny_study: Callable[..., list[str]], tmp_path: Path
) -> None:
    other, out = tmp_path / "other.safetensors", tmp_path / "study"
    save_weights({"a": torch.zeros(2)}, other)  # can be read, and fits no anonymizer
    said = say("study", "quickstart", *tiny_study(out, 2, 2), "--no-rungs", "--set", f"anonymizer.weights={other}")
    assert said.code == 2, said
    last = said.err.splitlines()[-1]
    assert last.startswith(f"error: {out}: all 2 trials so far failed, 0000 first: {other}: 'a' must be no tensor")
    assert "2 jobs ended without a report" in said.err and "lost" not in said.err
    assert (
        f"Report: {out}/report.html" in said.out and "all 2 trials so far failed" in (out / "report.html").read_text()
    )
    assert "all 2 trials so far failed, 0000 first: " in say("front", out).out
    assert "all 2 trials so far failed, 0000 first: " in say("status", out).out
    said = say("verify", out)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert said.err.startswith(f"error: {out}: nothing to verify: all 2 trials so far failed, 0000 first: {other}")
    other.unlink()  # the nodes of a cluster look themselves
    said = say("resume", out, "--trials", "3")
    assert (said.code, len(said.err.splitlines())) == (2, 1)
    assert "anonymizer.weights: must be a file of weights that can be read: No such file" in said.err
    assert len(json.loads(say("front", out, "--all", "--format", "json").out)["trials"]) == 4


def test_a_study_whose_every_trial_breaks_a_constraint_says_so_everywhere(
    say: Callable[..., Any], tiny_study: Callable[..., list[str]], tmp_path: Path
) -> None:
    out = tmp_path / "study"
    limit = ("--constraint", "leakage_at_most=0.01")
    said = say("study", "quickstart", *tiny_study(out, 2, 2), "--no-rungs", *limit)
    assert said.code == 0, said
    reason = "all 2 trials with a full score break a constraint of the study, 000"
    assert f"No trial is on the front: {reason}" in said.out
    assert reason in say("front", out).out and reason in say("status", out).out
    assert reason in (out / "report.html").read_text()
    document = json.loads(say("front", out, "--all", "--format", "json").out)
    assert reason in document["empty"] and document["hypervolume"] == 0
    for row in document["trials"]:
        assert (row["feasible"], row["front_rank"] > 0) == (False, True), row["trial"]  # the anchors too
    said = say("verify", out)
    assert (said.code, said.err.count("\n")) == (2, 1) and f"nothing to verify: {reason}" in said.err
    assert "resume" not in said.err


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="this machine has what is asked for")
def test_a_trial_that_needs_more_than_any_node_has(
    say: Callable[..., Any], tiny_study: Callable[..., list[str]], tmp_path: Path
) -> None:
    said = say("study", "quickstart", *tiny_study(tmp_path / "study", 1, 2), "--no-rungs", "--gpus", "1")
    assert (said.code, said.out) == (2, "")
    (line,) = said.err.splitlines()
    placement = r"a trial needs 1 CPU and 1 GPU, got 1 node, the largest with 2 CPU\. Ask .*"
    assert re.fullmatch(f"error: placement: {placement}", line)
