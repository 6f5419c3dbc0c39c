"""Starting a private Ray cluster."""

from __future__ import annotations

from typing import Any

import pytest
import ray

from anon_tune.driver.session import ray_session
from anon_tune.errors import UnreachableError


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, no_ray: None) -> Any:
    """Ray's start fails the first times, as it does when another process takes a port that Ray had found free."""
    calls: list[Any] = []
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    def fail(times: int) -> list[Any]:
        def init(*arguments: Any, **named: Any) -> None:
            calls.append(arguments)
            if len(calls) <= times:
                raise RuntimeError("Failed to start GCS.")

        monkeypatch.setattr(ray, "init", init)
        return calls

    return fail


def test_a_private_cluster_is_started_again_when_its_start_fails(failing: Any) -> None:
    calls = failing(2)
    with ray_session(dashboard=False) as is_private:
        assert is_private
    assert calls == [("local",)] * 3


def test_a_private_cluster_that_never_starts_is_one_line(failing: Any) -> None:
    failing(10)
    said = pytest.raises(UnreachableError, match=r"^Ray: cannot be started on this machine: Failed to start GCS\. ")
    with said, ray_session(dashboard=False):
        pass
