"""Two nodes of cluster/local.sh: a study uses both, one is lost on the way, and no trial with it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from anon_tune.ledger import Ledger
from anon_tune.trial import TrialState

pytestmark = pytest.mark.cluster
SCRIPT = str(Path(__file__).parents[2] / "cluster" / "local.sh")


@pytest.fixture
def nodes(processes: Any, short_path: Path, ports: list[int]) -> Iterator[Path]:
    """A head and a worker with one CPU each, and the environment that `env` prints; yields their folder."""
    folder = short_path / "nodes"
    port, _, dashboard = (str(number) for number in ports)
    processes.environment |= {"CLUSTER_DIR": str(folder), "PORT": port, "DASHBOARD_PORT": dashboard}
    try:
        assert processes.run("up", [SCRIPT, "up", "2", "1"]) == 0, processes.said("up")
        assert processes.run("env", [SCRIPT, "env"]) == 0
        lines = processes.said("env").splitlines()
        processes.environment |= dict(line.removeprefix("export ").split("=", 1) for line in lines)
        yield folder
    finally:
        processes.run("down", [SCRIPT, "down"])
