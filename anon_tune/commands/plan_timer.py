"""Times recipes in a process of its own, so that one that runs out of memory ends only that process."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from types import TracebackType
from typing import Self

from anon_tune.recipe import Recipe
from anon_tune.worker.timing import Bench, RecipeTimes, time_recipe


class Timer:
    """Times recipes one after the other in another process, which is started again if the system kills it.

    Args:
        bench: Where to compute, and on which clips.
        progress: Called with what is timed now, in words.
    """

    def __init__(self, bench: Bench, progress: Callable[[str], None]) -> None:
        self._bench, self._progress = bench, progress
        self._pool = self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def time(self, recipe: Recipe, measure: bool, what: str) -> RecipeTimes:
        """Time a recipe, see `time_recipe`; `what` says in words what is timed."""
        self._progress(what)
        try:
            return self._pool.submit(time_recipe, self._bench, recipe, measure).result()
        except BrokenProcessPool:
            self._pool = self._start()
            return RecipeTimes(refused="the system ended the process, most likely because memory ran out")

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, mp_context=get_context("spawn"))
