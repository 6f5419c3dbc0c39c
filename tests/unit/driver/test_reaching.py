"""What is said where Ray cannot be joined or started, before Ray itself tries for minutes."""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
import ray
from ray.core.generated import gcs_service_pb2, gcs_service_pb2_grpc

from anon_tune.driver.reaching import check_head, check_temporary_folder, starting
from anon_tune.driver.session import joins_cluster, ray_session
from anon_tune.errors import UnreachableError, UsageError

Say = Callable[..., str]


class Head(gcs_service_pb2_grpc.NodeInfoGcsServiceServicer):
    """Answers as the head of a version of Ray does, and may ask for a token."""

    def __init__(self, version: str, asks: bool = False) -> None:
        self.version, self.asks = version, asks

    def CheckAlive(self, request: object, context: grpc.ServicerContext) -> object:
        if self.asks:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token")
        return gcs_service_pb2.CheckAliveReply(ray_version=self.version)


@pytest.fixture
def serve() -> Iterator[Callable[[Head], str]]:
    servers = []

    def begin(head: Head) -> str:
        server = grpc.server(ThreadPoolExecutor(1))
        gcs_service_pb2_grpc.add_NodeInfoGcsServiceServicer_to_server(head, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return f"127.0.0.1:{port}"

    yield begin
    for server in servers:
        server.stop(None)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that nobody listens on, and that nobody else is given meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_a_head_that_is_gone_is_said_at_once_and_the_study_stays_as_it_was(
    silent_port: int,
    small_study: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    say: Callable[..., Any],
) -> None:
    study = tmp_path / "study"
    shutil.copytree(small_study, study)
    journal, ended = study / "optuna.journal", study / "ended.txt"
    journal.write_text("what the dashboard shows")
    ended.touch()
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{silent_port}")
    said = say("resume", study)
    assert said.code == 2
    assert said.err == (
        f"error: RAY_ADDRESS: no head answers: Connection refused, got 127.0.0.1:{silent_port}. "
        "Start the head, or unset RAY_ADDRESS to use this machine alone.\n"
    )
    assert journal.read_text() == "what the dashboard shows" and ended.exists()
    journal.unlink()
    ended.unlink()


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:8265", "https://head", "127.0.0.1", "head:six", ":6379", "ftp://a:1"]
)
def test_what_is_no_address_of_a_head_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match=r"RAY_ADDRESS: must be the address of a head, got .* Give HOST:PORT") as error:
        check_head(address)
    assert ("dashboard" in str(error.value)) == address.startswith("http")


def test_a_head_of_another_version_is_told_with_both_versions(serve: Callable[[Head], str]) -> None:
    check_head(serve(Head(ray.__version__)))
    address = serve(Head("2.53.0"))
    versions = rf"{address}: the head runs Ray 2\.53\.0, got Ray {re.escape(ray.__version__)} here\. Install"
    with pytest.raises(UnreachableError, match=versions):
        check_head(address)


def test_a_head_that_asks_for_a_token_says_so(serve: Callable[[Head], str]) -> None:
    with pytest.raises(UnreachableError, match=r"does not accept this token, or asks for one\. Set RAY_AUTH_MODE="):
        check_head(serve(Head(ray.__version__, asks=True)))


def test_what_listens_and_is_no_head_is_not_waited_for() -> None:
    server = grpc.server(ThreadPoolExecutor(1))  # has no such service
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with pytest.raises(UnreachableError, match=f"what answers is no head of Ray: .*, got 127.0.0.1:{port}"):
            check_head(f"127.0.0.1:{port}")
    finally:
        server.stop(None)


def test_a_private_cluster_may_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    for address, joins in (("local", False), ("", False), ("auto", True), ("127.0.0.1:6379", True)):
        monkeypatch.setenv("RAY_ADDRESS", address)
        assert joins_cluster() is joins


def test_a_temporary_folder_whose_name_is_too_long_is_said_before_ray_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("TMPDIR", "/tmp/" + "x" * 110)
    refused = r"TMPDIR: must have at most \d+ bytes, .*, got 115 bytes\. Set RAY_TMPDIR to a folder with a shorter name"
    with pytest.raises(UsageError, match=refused), ray_session(dashboard=False):
        pass
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    check_temporary_folder()
    most = 107 - len(f"/ray/session_2026-11-28_20-06-30_123456_{os.getpid()}/sockets/plasma_store")
    monkeypatch.setenv("RAY_TMPDIR", "/" + "x" * (most - 1))
    check_temporary_folder()
    monkeypatch.setenv("RAY_TMPDIR", "/" + "x" * most)
    with pytest.raises(UsageError, match="RAY_TMPDIR: must have"):
        check_temporary_folder()


def test_a_name_that_ray_cannot_write_down_is_one_line() -> None:
    with pytest.raises(UsageError, match=r"^Ray: .* are UTF-8\. Rename the folder\.$"), starting(""):
        os.fsdecode(b"caf\xe9").encode()


def test_a_node_that_takes_too_long_to_start_is_one_line() -> None:
    said = r"^Ray: cannot be started on this machine.*The current node timed out"
    with pytest.raises(UnreachableError, match=said), starting(""):
        raise Exception("The current node timed out during startup.")
