"""Applies a function to items as tasks of a Ray cluster."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError

from anon_tune.datasets.side_by_side import Item, Map, Result
from anon_tune.driver.session import ray_session
from anon_tune.errors import AnonTuneError, UnreachableError

_REMEDY = "Run the same command again; finished items are kept"


def in_tasks(num_workers: int | None = None) -> Map:
    """Return a map function that runs one task per item on a Ray cluster, each on one CPU, and keeps the order.

    A task whose node is lost runs again.

    Args:
        num_workers: Number of tasks at the same time, at least 1; None for two per CPU of the cluster, so that every
            CPU is busy.
    """

    def run(function: Callable[[Item], Result], items: Sequence[Item], /) -> Iterator[Result]:
        with ray_session(dashboard=False):
            cluster: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
            most = num_workers or 2 * int(cluster.get("CPU", 1))
            waiting: deque[Any] = deque()
            try:
                for item in items:
                    if len(waiting) == most:
                        yield ray.get(waiting.popleft())
                    waiting.append(_call.remote(function, item))
                while waiting:
                    yield ray.get(waiting.popleft())
            except RayError as error:
                cause = str(error).splitlines()[0]
                raise UnreachableError("cluster", "a task was lost", remedy=_REMEDY, cause=cause) from error

    return run


@dataclass(frozen=True, slots=True)
class TaskNeeds:
    """What one task needs of the cluster.

    Attributes:
        cpus: CPUs that a task reserves.
        gpus: GPUs that a task reserves; may be a fraction.
        retries: How often a task is begun again after its worker or node was lost.
    """

    cpus: float = 1
    gpus: float = 0
    retries: int = 2


def as_finished(
    function: Callable[[Item], Result], items: Sequence[Item], needs: TaskNeeds
) -> Iterator[tuple[Item, Result | AnonTuneError]]:
    """Run one task per item on the cluster of the present session, as many at a time as fit.

    Yields:
        Each item with its result, or with the error that ended its task, in the order in which tasks end.
    """
    task = _try.options(num_cpus=needs.cpus, num_gpus=needs.gpus, max_retries=needs.retries)
    waiting = {task.remote(function, item): item for item in items}
    while waiting:
        (done, *_), _ = ray.wait(list(waiting), num_returns=1)
        item = waiting.pop(done)
        try:
            yield item, ray.get(done)
        except RayError as error:
            cause = str(error).splitlines()[0]
            yield item, UnreachableError("cluster", "a task was lost", remedy=_REMEDY, cause=cause)


@ray.remote(num_cpus=1)
def _call(function: Callable[[Any], Any], item: Any) -> Any:
    return function(item)


@ray.remote
def _try(function: Callable[[Any], Any], item: Any) -> Any:
    try:
        return function(item)
    except AnonTuneError as error:  # as a value, because Ray would wrap it together with a traceback
        return error
