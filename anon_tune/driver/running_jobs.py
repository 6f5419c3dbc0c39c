"""Keeps when and on which node each job started, which is all that is known about a job that never reports."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import RayError

from anon_tune.study_directory import TrialDirectory


class RunningJobs:
    """Tracks the current job of each trial.

    Args:
        on_node: Called with the name of each node as soon as a worker there has reported it.
    """

    def __init__(self, on_node: Callable[[str], None]) -> None:
        self._on_node = on_node
        self._since: dict[str, float] = {}
        self._nodes: dict[str, str] = {}
        self._asked: dict[str, Any] = {}

    def begin(self, trial_id: str, worker: Any) -> None:
        """Record that a worker, given as a handle of a `RungTrainable`, begins with a trial."""
        self._since[trial_id] = time.monotonic()
        self._nodes.pop(trial_id, None)
        self._asked[trial_id] = worker.node_name.remote()

    def go_on(self, trial_id: str) -> None:
        """Record that the next job of a trial begins on the same worker."""
        self._since[trial_id] = time.monotonic()

    def collect_nodes(self) -> None:
        """Collect the answers of the workers that have answered."""
        for trial_id, answer in [*self._asked.items()]:
            if ray.wait([answer], timeout=0)[0]:
                self._take_answer(trial_id)

    def end(self, trial_id: str) -> tuple[float, str] | None:
        """Forget the job of a trial. Return its seconds and its node, empty if unknown; None if there was no job."""
        since = self._since.pop(trial_id, None)
        if since is None:
            return None
        seconds = time.monotonic() - since
        if trial_id in self._asked:
            self._take_answer(trial_id)
        return seconds, self._nodes.pop(trial_id, "")

    def _take_answer(self, trial_id: str) -> None:
        try:
            # A worker answers before its first job, so this rarely waits. One that hangs must not hold up the driver.
            name = str(ray.get(self._asked.pop(trial_id), timeout=1))
        except RayError:  # the worker or its node was lost before it answered
            return
        self._nodes[trial_id] = name
        self._on_node(name)


def begun_by_train(directory: TrialDirectory) -> tuple[float, str] | None:
    """Return how many seconds the workers of a trial were at a job, and on which node; None if none had begun.

    Such workers may wait for nodes, and they run elsewhere than the process that started them. So they leave a file
    with their node and start time, which is read and removed here.

    Args:
        directory: The directory of the trial.
    """
    with suppress(OSError, ValueError, KeyError):  # no file: no worker had begun
        begun = json.loads(directory.begun.read())
        directory.begun.remove()
        return max(0.0, time.time() - float(begun["time"])), str(begun["node"])
    return None
