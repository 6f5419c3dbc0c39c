"""How many trials fit on a cluster at once, and what each asks Ray for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from anon_tune.errors import PlacementError
from anon_tune.study.settings import StudySettings

_LOOK_EVERY_S = 2.0
_ROUNDING = 1e-6  # five shares of 0.2 are a whole GPU

Nodes = Callable[[], Sequence[Mapping[str, float]]]
"""Asks for the resources of every living node, in Ray's names."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where trials go.

    Attributes:
        resources: What the Tune actor of a trial asks for.
        max_concurrent: Trials at a time; more than fit now where an autoscaler is to bring nodes for them.
    """

    resources: Mapping[str, float]
    max_concurrent: int


def place(settings: StudySettings, nodes: Sequence[Mapping[str, float]]) -> Placement:
    """Fit trials onto the nodes of a cluster.

    A trial that starts its own workers through Ray Train reserves them itself, and Tune does not
    see them; its actor then asks for next to nothing (Ray refuses an empty request) and the number
    of trials at a time is what keeps two of them from waiting for each other's CPUs for ever.

    Args:
        settings: What a trial needs.
        nodes: Resources of every node, in Ray's names.

    Raises:
        PlacementError: A trial can never run here.
    """
    fits = _fit(settings, nodes)
    if not fits and settings.scale_to is None:
        workers, need = settings.workers_per_trial, _need(settings)
        what = f"{workers} workers with {_say(need)} each" if workers > 1 else _say(need)
        largest = max(nodes, key=lambda n: (n.get("GPU", 0), n.get("CPU", 0)), default={})
        raise PlacementError(
            "placement",
            f"a trial needs {what}",
            f"{len(nodes)} nodes, the largest with {_say(largest)}",
            "Ask for less, add nodes, or give --scale-to where an autoscaler starts them",
        )
    resources = {"cpu": 0.0, "memory": 1.0} if settings.runs_through_train else {"cpu": settings.cpus_per_worker}
    wanted = max(fits, settings.scale_to or 0)
    return Placement(resources, min(wanted, settings.max_concurrent or wanted))


@dataclass
class Slots:
    """Follows a cluster that grows and shrinks.

    Attributes:
        settings: What a trial needs.
        nodes: The cluster; asked at most every two seconds.
        clock: Seconds.
    """

    settings: StudySettings
    nodes: Nodes
    clock: Callable[[], float] = time.monotonic
    _number: int = 0
    _looked: float = field(default=-_LOOK_EVERY_S)

    def fits(self) -> bool:
        """True if a node is there that holds a trial."""
        return _fit(self.settings, self.nodes()) > 0

    def number(self) -> int:
        """Return how many trials may be under way now; at least 1, which waits while no node holds one."""
        now = self.clock()
        if now - self._looked >= _LOOK_EVERY_S:
            self._looked = now
            try:
                self._number = place(self.settings, self.nodes()).max_concurrent
            except PlacementError:  # it did fit when the study began: a node may come again
                self._number = 1
        return self._number


def _need(settings: StudySettings) -> dict[str, float]:
    return {"CPU": settings.cpus_per_worker, "GPU": settings.gpus_per_worker}


def _fit(settings: StudySettings, nodes: Sequence[Mapping[str, float]]) -> int:
    """Return how many trials these nodes hold at once: a worker needs one node, a trial may have several."""
    need = _need(settings)
    slots = [
        min(int(node.get(name, 0) / amount + _ROUNDING) for name, amount in need.items() if amount) for node in nodes
    ]
    return sum(slots) // settings.workers_per_trial


def _say(resources: Mapping[str, float]) -> str:
    parts = [f"{resources.get(name, 0):g} {name}" for name in ("CPU", "GPU") if name == "CPU" or resources.get(name)]
    return " and ".join(parts)
