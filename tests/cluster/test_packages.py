"""A package with methods that no node has is brought to driver and workers; without that, the error is one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anon_tune.ledger import Ledger
from anon_tune.trial import TrialState

pytestmark = pytest.mark.cluster


def test_a_package_comes_with_a_job_and_a_node_that_lacks_it_is_named_before_any_trial(
    site: Any, example_package: Path, example_installed: Path, tmp_path: Path, tiny_study: Callable[..., list[str]]
) -> None:
    site.head("head", 1)
    space, out = example_package / "space.toml", tmp_path / "study"
    words = [str(space), *tiny_study(out, trials=3, num_steps=4), "--no-rungs"]

    # The driver finds the package on its path, and the node does not.
    cluster = {"RAY_ADDRESS": f"127.0.0.1:{site.ports[0]}"}
    path = f"{Path(__file__).parents[2]}:{example_installed}"
    refused = site.client("study", *words, PYTHONPATH=path, **cluster)
    assert refused.returncode == 2, refused.stderr[-4000:]
    (line,) = [line for line in refused.stderr.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: node '") and "unknown method 'halve'" in line and line.endswith("on every node.")
    assert not Ledger(out / "ledger").trials()

    # The package is missing everywhere: the error comes from this machine, and nothing is sent.
    unsent = site.client("submit", *words)
    assert (unsent.returncode, unsent.stdout) == (2, "")
    assert "unknown name 'tint.strength'. If a package adds the method 'tint'" in unsent.stderr

    # Where a node lacks it the study does not begin, so that all trials below are from a node that was given it.
    done = site.client("submit", *words, "--package", str(example_package), "--follow")
    assert done.returncode == 0, done.stderr[-4000:]
    trials = {trial.id: trial for trial in Ledger(out / "ledger").trials()}
    assert {trial.state for trial in trials.values()} == {TrialState.COMPLETE}
    assert sorted(trials) == ["0000", "0001", "0002", "black-out", "identity"]
    assert {trial.method for trial in trials.values()} == {"identity", "black-out", "halve:0.25", "tint"}
