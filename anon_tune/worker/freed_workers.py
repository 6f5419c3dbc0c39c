"""Gives back the CPUs and GPUs of a job of several workers, if a worker is lost while they start."""

from __future__ import annotations

from typing import Any

from ray.train.v2._internal.execution.callback import ControllerCallback, WorkerGroupCallback
from ray.util import remove_placement_group


class FreesItsWorkers(WorkerGroupCallback, ControllerCallback):
    """Removes the placement group of a run of Ray Train when the run ends, however it ends.

    If a worker dies after the group of workers was made and before all of them train, Ray 2.60 ends the run and leaves
    its placement group. The cluster keeps that until the whole study ends, so the repeated job would wait for ever.
    """

    def __init__(self) -> None:
        self._group: Any = None

    def after_worker_group_start(self, worker_group: Any) -> None:
        """Remember the placement group, which is known from here on."""
        self._group = worker_group.get_worker_group_state().placement_group_handle.placement_group

    async def before_controller_shutdown(self) -> None:
        """Remove the placement group; one that is gone already stays so."""
        if self._group is not None:
            remove_placement_group(self._group)
