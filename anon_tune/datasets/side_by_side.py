"""Work on many items side by side, with results in order."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Protocol, TypeVar

from anon_tune.errors import UsageError

Item = TypeVar("Item")
Result = TypeVar("Result")


class Map(Protocol):
    """Applies a function to items: in this process, in others, or on a cluster. Results come in the order of items."""

    def __call__(self, function: Callable[[Item], Result], items: Sequence[Item], /) -> Iterator[Result]:
        """Yield the function's result for each item. Only a few results wait at any time."""


def one_by_one(function: Callable[[Item], Result], items: Sequence[Item], /) -> Iterator[Result]:
    """Apply a function to items in this process."""
    return map(function, items)


def in_processes(num_workers: int | None = None) -> Map:
    """Return a map over processes of this machine.

    The processes are not forks, so a script that calls this must do so below ``if __name__ == "__main__"``.

    Args:
        num_workers: Number of processes, at least 1, which means this process; None for one per CPU.
    """
    num = num_workers or len(os.sched_getaffinity(0))

    def run(function: Callable[[Item], Result], items: Sequence[Item], /) -> Iterator[Result]:
        if min(num, len(items)) <= 1:
            yield from map(function, items)
            return
        # A fork of this process would copy locks of our threads. The fork server has none, and loads the decoder once.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["__main__", "anon_tune.datasets.decode"])
        pool = ProcessPoolExecutor(min(num, len(items)), context, initializer=_follow_the_parent)
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > 2 * num:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            rule, remedy = "a process was killed, or a file broke the decoder", "Run the command again with --workers 1"
            raise UsageError("--workers", rule, num, remedy) from None
        finally:
            pool.shutdown(cancel_futures=True)

    return run


def _follow_the_parent() -> None:
    """Leave Ctrl-C to the parent process, and end when the parent ends, even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
