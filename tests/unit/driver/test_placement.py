from __future__ import annotations

import pytest

from anon_tune.driver.placement import Placement, Slots, place
from anon_tune.errors import PlacementError
from anon_tune.study.settings import StudySettings


def settings(cpus: float = 1, gpus: float = 0, workers: int = 1, at_most: int | None = None) -> StudySettings:
    return StudySettings(cpus_per_worker=cpus, gpus_per_worker=gpus, workers_per_trial=workers, max_concurrent=at_most)


LAPTOP = [{"CPU": 4.0, "memory": 1e9}]
CLUSTER = [{"CPU": 4.0}, {"CPU": 8.0, "GPU": 2.0}, {"CPU": 8.0, "GPU": 2.0}]


@pytest.mark.parametrize(
    ("wanted", "nodes", "fits"),
    [
        (settings(), LAPTOP, 4),
        (settings(at_most=3), LAPTOP, 3),
        (settings(at_most=9), LAPTOP, 4),
        (settings(cpus=3), LAPTOP, 1),
        (settings(cpus=3), CLUSTER, 5),  # 1 + 2 + 2: what is left over on a node is of no use
        (settings(gpus=1), CLUSTER, 4),
        (settings(cpus=1, gpus=0.5), CLUSTER, 8),
        (settings(cpus=1, gpus=0.2), CLUSTER, 16),  # of each node 8 CPUs: fewer than the 10 shares
        (settings(cpus=1, gpus=0.2), [{"CPU": 20.0, "GPU": 1.0}], 5),
        (settings(cpus=1, gpus=0.2), [{"CPU": 20.0, "GPU": 0.6}], 3),  # 0.6 / 0.2 is a little less than 3
        (settings(gpus=1, workers=3), CLUSTER, 1),
        (settings(cpus=2, workers=2), LAPTOP, 1),
    ],
)
def test_as_many_trials_as_their_workers_find_room(
    wanted: StudySettings, nodes: list[dict[str, float]], fits: int
) -> None:
    assert place(wanted, nodes).max_concurrent == fits


def test_a_trial_that_starts_workers_reserves_nothing_itself() -> None:
    assert place(settings(cpus=2), LAPTOP) == Placement({"cpu": 2}, 2)
    assert place(settings(workers=2), LAPTOP).resources == {"cpu": 0.0, "memory": 1.0}
    assert place(settings(gpus=1), CLUSTER).resources == {"cpu": 0.0, "memory": 1.0}


@pytest.mark.parametrize(
    ("wanted", "nodes", "message"),
    [
        (settings(cpus=9), CLUSTER, "a trial needs 9 CPU, got 3 nodes, the largest with 8 CPU and 2 GPU"),
        (settings(gpus=1), LAPTOP, "a trial needs 1 CPU and 1 GPU, got 1 node, the largest with 4 CPU"),
        (settings(gpus=2, workers=3), CLUSTER, "a trial needs 3 workers with 1 CPU and 2 GPU each, got 3 nodes"),
        (settings(), [], "0 nodes, the largest with 0 CPU"),
    ],
)
def test_what_never_fits_is_refused(wanted: StudySettings, nodes: list[dict[str, float]], message: str) -> None:
    with pytest.raises(PlacementError) as caught:
        place(wanted, nodes)
    assert message in str(caught.value)


def test_trials_may_wait_for_nodes_that_an_autoscaler_brings() -> None:
    growing = settings(gpus=1).model_copy(update={"scale_to": 4})
    assert place(growing, LAPTOP).max_concurrent == 4
    assert place(growing.model_copy(update={"max_concurrent": 3}), LAPTOP).max_concurrent == 3
    assert place(growing, [*CLUSTER, *CLUSTER]).max_concurrent == 8


def test_slots_follow_the_cluster() -> None:
    now, nodes = [0.0], list(CLUSTER)
    slots = Slots(settings(gpus=1), lambda: nodes, lambda: now[0])
    assert slots.number() == 4
    nodes.append({"CPU": 8.0, "GPU": 2.0})
    assert slots.number() == 4  # nodes are not asked for at every turn
    now[0] = 3.0
    assert slots.number() == 6
    del nodes[1:]
    now[0] = 6.0
    assert slots.number() == 1 and not slots.fits()  # none is left; one trial waits for the next
    nodes.append({"CPU": 8.0, "GPU": 1.0})
    now[0] = 9.0
    assert slots.number() == 1
