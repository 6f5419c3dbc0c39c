"""Applies a function to many items as tasks of a Ray cluster."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ray
from ray.exceptions import RayError

from anon_tune.datasets.side_by_side import Item, Map, Result
from anon_tune.driver.session import ray_session
from anon_tune.errors import UnreachableError

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


@ray.remote(num_cpus=1)
def _call(function: Callable[[Any], Any], item: Any) -> Any:
    return function(item)
