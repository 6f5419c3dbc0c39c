"""Reads batches in threads before they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Read = TypeVar("Read")


class ReadAhead(Generic[Read]):
    """Reads what has successive numbers; while one is used, the next are read. The results are the same as without.

    Args:
        read: Reads what has a number. It is called from several threads.
        num_ahead: How many to read ahead; 0 to read only what is asked for.
    """

    def __init__(self, read: Callable[[int], Read], num_ahead: int) -> None:
        self._read, self._num_ahead = read, num_ahead
        self._pool = ThreadPoolExecutor(min(num_ahead, 4), "read-ahead") if num_ahead else None
        self._begun: dict[int, Future[Read]] = {}

    def __getitem__(self, number: int) -> Read:
        if self._pool is None:
            return self._read(number)
        wanted = range(number, number + 1 + self._num_ahead)
        for at in [at for at in self._begun if at not in wanted]:  # a warm-up has ended, or training was continued
            self._begun.pop(at).cancel()
        for at in wanted:
            if at not in self._begun:
                self._begun[at] = self._pool.submit(self._read, at)
        return self._begun.pop(number).result()

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
