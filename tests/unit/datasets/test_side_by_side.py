import os
from collections.abc import Callable

import pytest

from anon_tune.datasets.side_by_side import Map, in_processes, one_by_one

# Child processes can import `eval`, and nothing of this file. The first item is done last.
LATE = "(__import__('time').sleep(0.05), {}, __import__('os').getpid())"


@pytest.mark.parametrize("make", [lambda: one_by_one, lambda: in_processes(1), lambda: in_processes(3)])
@pytest.mark.parametrize("num_items", [0, 1, 9])
def test_results_are_in_order(make: Callable[[], Map], num_items: int) -> None:
    items = [LATE.format(0), *map(str, range(1, 9))][:num_items]
    results = [one[1] if isinstance(one, tuple) else one for one in make()(eval, items)]
    assert results == list(range(num_items))


def test_one_worker_is_this_process_and_more_are_others() -> None:
    assert {where for *_, where in in_processes(1)(eval, [LATE] * 3)} == {os.getpid()}
    assert os.getpid() not in {where for *_, where in in_processes(2)(eval, [LATE] * 6)}


def test_little_is_taken_before_it_is_needed() -> None:
    taken = []

    class Items(list[str]):
        def __iter__(self):  # type: ignore[no-untyped-def]
            for item in list.__iter__(self):
                taken.append(item)
                yield item

    results = in_processes(2)(eval, Items(map(str, range(100))))
    assert next(results) == 0
    assert len(taken) < 10
    results.close()  # type: ignore[attr-defined]
