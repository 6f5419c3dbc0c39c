"""Two nodes of cluster/local.sh: a study uses both, and when one is lost, no trial is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anon_tune.ledger import Ledger
from anon_tune.trial import TrialState

pytestmark = pytest.mark.cluster
SCRIPT = str(Path(__file__).parents[2] / "cluster" / "local.sh")


def test_a_lost_node_costs_no_trial(
    processes: Any, nodes: Path, tmp_path: Path, tiny_study: Callable[..., list[str]]
) -> None:
    head, worker = (int((nodes / f"{name}.pid").read_text()) for name in ("head", "worker-1"))
    out = tmp_path / "study"

    def trains(node: int) -> bool:
        return any(name.startswith("ray::_Inner.train") for name in processes.below(node).values())

    def states() -> dict[str, TrialState]:
        return {t.id: t.state for t in Ledger(out / "ledger").trials()}

    # A trial takes longer than a worker to start, or one node does all of them before the other is ready.
    arguments = ["search_spaces/quickstart.toml", "--no-rungs", *tiny_study(out, trials=2, num_steps=800)]
    driver = processes.start("study", ["anon-tune", "study", *arguments])
    processes.wait_until(
        lambda: trains(head) and trains(worker) and states().get("0001") is TrialState.RUNNING, "study", driver
    )
    interrupted = [trial for trial, state in states().items() if state is TrialState.RUNNING]
    assert len(interrupted) == 2
    processes.kill(worker)

    assert processes.ended(driver) == 0, processes.said("study")[-4000:]
    assert states() == dict.fromkeys(["black-out", "identity", "0000", "0001"], TrialState.COMPLETE)
    assert processes.run("status", [SCRIPT, "status"]) == 0
    assert "head: up" in processes.said("status") and "worker-1: gone" in processes.said("status")


def test_two_nodes_find_what_one_finds(
    processes: Any, nodes: Path, tmp_path: Path, tiny_study: Callable[..., list[str]]
) -> None:
    worker = int((nodes / "worker-1.pid").read_text())
    study = ["anon-tune", "study", "search_spaces/quickstart.toml", "--no-rungs", "--sampler", "qmc"]

    def found(out: Path) -> dict[str, tuple[Any, ...]]:
        trials = Ledger(out / "ledger").trials()
        assert all(t.score is not None for t in trials)
        scores = {t.id: (dict(t.params), t.score.leakage, t.score.accuracy, t.score.attackers) for t in trials}  # type: ignore[union-attr]
        return scores | {t.id + " curve": tuple(t.reports[-1].curve) for t in trials}

    two = processes.start("two", [*study, *tiny_study(tmp_path / "two", trials=4, num_steps=150)])
    processes.wait_until(
        lambda: any(name.startswith("ray::_Inner.train") for name in processes.below(worker).values()), "two", two
    )
    assert processes.ended(two) == 0, processes.said("two")[-4000:]

    del processes.environment["RAY_ADDRESS"]
    one = [*study, *tiny_study(tmp_path / "one", trials=4, num_steps=150), "--max-concurrent", "1"]
    assert processes.run("one", one) == 0, processes.said("one")[-4000:]
    assert found(tmp_path / "two") == found(tmp_path / "one")


def test_down_ends_its_own_nodes_and_no_other(processes: Any, nodes: Path) -> None:
    head, worker = (int((nodes / f"{name}.pid").read_text()) for name in ("head", "worker-1"))
    # A pid that now belongs to another process.
    stranger = processes.start("stranger", ["sleep", "1000"])
    (nodes / "worker-2.pid").write_text(str(stranger.pid))
    ours = {head, worker, *processes.below(head), *processes.below(worker)}
    assert len(ours) > 8
    assert processes.run("second", [SCRIPT, "up"]) == 2 and "are up already" in processes.said("second")
    assert processes.run("down", [SCRIPT, "down"]) == 0
    processes.wait_until_gone(ours)
    assert stranger.poll() is None and not nodes.exists()
    assert processes.run("env", [SCRIPT, "env"]) == 2 and "no nodes are up" in processes.said("env")
