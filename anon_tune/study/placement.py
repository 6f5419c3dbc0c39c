"""How many trials fit on a cluster at once, and what each asks Ray for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from anon_tune.errors import PlacementError
from anon_tune.study.settings import StudySettings


@dataclass(frozen=True, slots=True)
class Placement:
    """Where trials go.

    Attributes:
        resources: What the Tune actor of a trial asks for.
        max_concurrent: Trials at a time.
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
    need = {"CPU": settings.cpus_per_worker, "GPU": settings.gpus_per_worker}
    slots = [min(int(node.get(name, 0) // amount) for name, amount in need.items() if amount) for node in nodes]
    if sum(slots) < settings.workers_per_trial:
        workers = settings.workers_per_trial
        what = f"{workers} workers with {_say(need)} each" if workers > 1 else _say(need)
        largest = max(nodes, key=lambda n: (n.get("GPU", 0), n.get("CPU", 0)), default={})
        remedy = "Ask for less, or add nodes"
        raise PlacementError(
            "placement", f"a trial needs {what}; {len(nodes)} nodes, the largest with {_say(largest)}", remedy=remedy
        )
    fits = sum(slots) // settings.workers_per_trial
    resources = {"cpu": 0.0, "memory": 1.0} if settings.runs_through_train else {"cpu": settings.cpus_per_worker}
    return Placement(resources, min(fits, settings.max_concurrent or fits))


def _say(resources: Mapping[str, float]) -> str:
    parts = [f"{resources.get(name, 0):g} {name}" for name in ("CPU", "GPU") if name == "CPU" or resources.get(name)]
    return " and ".join(parts)
