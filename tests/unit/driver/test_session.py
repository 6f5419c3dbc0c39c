"""Starting a private Ray cluster."""

from __future__ import annotations

from typing import Any

import pytest
import ray

from anon_tune.driver.session import check_prices, living_nodes, ray_session
from anon_tune.errors import PlacementError, UnreachableError
from anon_tune.study.spending import Node


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, no_ray: None) -> Any:
    """Ray's start fails the first times, as it does when another process takes a port that Ray had found free.

    Or as on a busy machine, when a node is late.
    """
    calls: list[Any] = []
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    def fail(times: int, error: Exception) -> list[Any]:
        def init(*arguments: Any, **named: Any) -> None:
            calls.append(arguments)
            if len(calls) <= times:
                raise error

        monkeypatch.setattr(ray, "init", init)
        return calls

    return fail


ERRORS = [RuntimeError("Failed to start GCS."), Exception("The current node timed out during startup.")]


@pytest.mark.parametrize("error", ERRORS, ids=["port", "late"])
def test_a_private_cluster_is_started_again_when_its_start_fails(failing: Any, error: Exception) -> None:
    calls = failing(2, error)
    with ray_session(dashboard=False) as is_private:
        assert is_private
    assert calls == [("local",)] * 3


@pytest.mark.parametrize("error", ERRORS, ids=["port", "late"])
def test_a_private_cluster_that_never_starts_is_one_line(failing: Any, error: Exception) -> None:
    failing(10, error)
    said = pytest.raises(UnreachableError, match=rf"^Ray: cannot be started on this machine: {error} ")
    with said, ray_session(dashboard=False):
        pass


def test_what_would_fail_again_is_not_tried_again(failing: Any) -> None:
    calls = failing(10, ValueError("no such option"))
    with pytest.raises(UnreachableError, match="no such option"), ray_session(dashboard=False):
        pass
    assert len(calls) == 1


def node_of_ray(name: str, price: str | None, alive: bool = True) -> dict[str, Any]:
    """A node as Ray lists it."""
    labels = {} if price is None else {"anon-tune.price-per-hour": price}
    return {"NodeManagerHostname": name, "Resources": {"CPU": 4.0}, "Labels": labels, "Alive": alive}


@pytest.mark.parametrize("label", ["0,28", "-1", "nan", "inf", ""])
def test_a_wrong_price_is_refused_before_a_study_and_only_said_of_a_node_that_joins_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, label: str
) -> None:
    nodes = [node_of_ray("head", None), node_of_ray("lost", "cheap", alive=False), node_of_ray("spot", "0.28")]
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    check_prices()
    nodes.append(node_of_ray("late", label))
    rule = f"cluster: the label 'anon-tune.price-per-hour' of a node must be a number of at least 0, got {label}."
    with pytest.raises(PlacementError) as refused:
        check_prices()
    assert str(refused.value) == f"{rule} Correct it in the cluster file."
    for _ in range(2):
        found = living_nodes()
        assert found == [Node(n, {"CPU": 4.0}, price) for n, price in (("head", 0), ("spot", 0.28), ("late", 0))]
    assert caplog.messages == [f"{rule} Its cost counts as 0. Correct it in the cluster file."]
