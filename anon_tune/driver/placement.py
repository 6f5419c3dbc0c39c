"""Computes how many trials fit on a cluster at the same time, and which resources each requests from Ray."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from anon_tune.errors import PlacementError
from anon_tune.study.settings import StudySettings

_LOOK_EVERY_S = 2.0
_ROUNDING = 1e-6  # five shares of 0.2 are a whole GPU

Nodes = Callable[[], Sequence[Mapping[str, float]]]
"""Returns the resources of every living node, by Ray's names."""


@dataclass(frozen=True, slots=True)
class Placement:
    """How trials are placed on a cluster.

    Attributes:
        resources: Resources that the Tune actor of a trial requests.
        max_concurrent: Number of trials at the same time. It is more than fit now if an autoscaler is to add nodes.
    """

    resources: Mapping[str, float]
    max_concurrent: int


def place(settings: StudySettings, nodes: Sequence[Mapping[str, float]]) -> Placement:
    """Fit trials onto the nodes of a cluster.

    A trial that starts its own workers through Ray Train reserves their resources itself, and Tune does not see them.
    Its Tune actor then requests almost nothing, because Ray refuses an empty request. Only the number of trials at the
    same time keeps two such trials from waiting forever for each other's CPUs.

    Args:
        settings: The settings of the study, which say what a trial needs.
        nodes: Resources of every node, by Ray's names.

    Raises:
        PlacementError: A trial needs more than any node has.
    """
    fits = _fit(settings, nodes)
    if not fits and settings.scale_to is None:
        workers, need = settings.workers_per_trial, _need(settings)
        what = f"{workers} workers with {_say(need)} each" if workers > 1 else _say(need)
        many = f"{len(nodes)} node" if len(nodes) == 1 else f"{len(nodes)} nodes"
        largest = max(nodes, key=lambda n: (n.get("GPU", 0), n.get("CPU", 0)), default={})
        raise PlacementError(
            "placement",
            f"a trial needs {what}",
            f"{many}, the largest with {_say(largest)}",
            "Ask for less, add nodes, or give --scale-to if an autoscaler can add nodes",
        )
    resources = {"cpu": 0.0, "memory": 1.0} if settings.runs_through_train else {"cpu": settings.cpus_per_worker}
    wanted = max(fits, settings.scale_to or 0)
    return Placement(resources, min(wanted, settings.max_concurrent or wanted))


@dataclass
class Slots:
    """Follows a cluster that grows and shrinks.

    Attributes:
        settings: The settings of the study, which say what a trial needs.
        nodes: Returns the nodes of the cluster; it is called at most every two seconds.
        clock: Returns the time in seconds.
    """

    settings: StudySettings
    nodes: Nodes
    clock: Callable[[], float] = time.monotonic
    _number: int = 0
    _looked: float = field(default=-_LOOK_EVERY_S)

    def fits(self) -> bool:
        """True if a trial fits on the nodes that the cluster has now."""
        return _fit(self.settings, self.nodes()) > 0

    def number(self) -> int:
        """Return how many trials may be under way now. It is at least 1, even if that trial must wait for a node."""
        now = self.clock()
        if now - self._looked >= _LOOK_EVERY_S:
            self._looked = now
            try:
                self._number = place(self.settings, self.nodes()).max_concurrent
            except PlacementError:  # a trial fitted when the study began, so a node may come back
                self._number = 1
        return self._number


def _need(settings: StudySettings) -> dict[str, float]:
    return {"CPU": settings.cpus_per_worker, "GPU": settings.gpus_per_worker}


def _fit(settings: StudySettings, nodes: Sequence[Mapping[str, float]]) -> int:
    """Return how many trials fit on these nodes at once. A worker must fit on one node; a trial may use several."""
    need = _need(settings)
    slots = [
        min(int(node.get(name, 0) / amount + _ROUNDING) for name, amount in need.items() if amount) for node in nodes
    ]
    return sum(slots) // settings.workers_per_trial


def _say(resources: Mapping[str, float]) -> str:
    parts = [f"{resources.get(name, 0):g} {name}" for name in ("CPU", "GPU") if name == "CPU" or resources.get(name)]
    return " and ".join(parts)
