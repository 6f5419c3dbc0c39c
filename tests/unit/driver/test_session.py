"""Starting a private Ray cluster."""

from __future__ import annotations

from typing import Any

import pytest
import ray

from anon_tune.driver.session import ray_session
from anon_tune.errors import UnreachableError


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
