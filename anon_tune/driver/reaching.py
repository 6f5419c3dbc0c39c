"""Whether Ray can be joined or started, asked before Ray itself, which tries for minutes and then says little."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import grpc  # type: ignore[import-untyped]
import ray
from ray._private import services
from ray._private.grpc_utils import init_grpc_channel
from ray.core.generated.gcs_service_pb2 import CheckAliveRequest  # type: ignore[attr-defined]
from ray.core.generated.gcs_service_pb2_grpc import NodeInfoGcsServiceStub

from anon_tune.errors import UnreachableError, UsageError
from anon_tune.folder import why

_VARIABLE = "RAY_ADDRESS"
_WANTED = "Give HOST:PORT of the head, which 'ray start --head' prints, such as 10.0.0.1:6379"
_START = f"Start the head, or unset {_VARIABLE} to use this machine alone"
_PATIENCE_S = 10.0
_MOST_SOCKET_BYTES = 107  # of the path of a Unix socket


def cluster_address() -> str:
    """Return the address in ``RAY_ADDRESS``; empty if there is none, or if it asks for a private cluster."""
    address = os.environ.get(_VARIABLE, "").strip()
    return "" if address == "local" else address


def check_head(address: str) -> None:
    """Check that a head of this version of Ray answers.

    Args:
        address: As in ``RAY_ADDRESS``: ``HOST:PORT``, ``auto``, or ``ray://HOST:PORT`` of a client server.

    Raises:
        UsageError: It is no such address.
        UnreachableError: No head answers there, or one of another version or with another token.
    """
    scheme, _, rest = address.rpartition("://")
    if scheme not in ("", "ray"):
        dashboard = " This is the address of a dashboard, which 'submit' takes" if scheme.startswith("http") else ""
        raise UsageError(_VARIABLE, "must be the address of a head", address, f"{_WANTED}.{dashboard}")
    place = _found() if rest == "auto" else rest
    host, _, port = place.rpartition(":")
    if not host or not port.isdecimal():
        raise UsageError(_VARIABLE, "must be the address of a head", address, _WANTED)
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE_S).close()
    except (OSError, OverflowError) as error:
        raise UnreachableError(_VARIABLE, "no head answers", place, _START, cause=why(error)) from None
    if not scheme:
        _check_version(place)


def _found() -> str:
    """Return the head that was started on this machine."""
    try:
        return str(services.canonicalize_bootstrap_address("auto"))
    except ConnectionError:
        raise UnreachableError(_VARIABLE, "no head was started on this machine", "auto", _START) from None


def _check_version(address: str) -> None:
    with starting(address), init_grpc_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
        try:
            stub = NodeInfoGcsServiceStub(channel)  # type: ignore[no-untyped-call]
            theirs = stub.CheckAlive(CheckAliveRequest(), timeout=_PATIENCE_S).ray_version
        except grpc.RpcError as error:
            raise _refusal(address, error) from None
    if theirs != ray.__version__:
        rule, remedy = f"the head runs Ray {theirs}", "Install the same version here and on every node"
        raise UnreachableError(address, rule, f"Ray {ray.__version__} here", remedy)


def _refusal(address: str, error: grpc.RpcError) -> UnreachableError:
    if error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        remedy = "Set RAY_AUTH_MODE=token, and put the head's token into ~/.ray/auth_token"
        return UnreachableError(address, "the head does not accept this token, or asks for one", remedy=remedy)
    rule = "what answers is no head of Ray"
    return UnreachableError(_VARIABLE, rule, address, _WANTED, cause=error.code().name.lower().replace("_", " "))


def check_temporary_folder() -> None:
    """Check that Ray's sockets fit below the temporary folder of a private cluster.

    Raises:
        UsageError: The folder's name is too long.
    """
    variable = "RAY_TMPDIR" if "RAY_TMPDIR" in os.environ else "TMPDIR"
    folder = os.environ.get(variable, "/tmp")
    longest = f"/ray/session_{'2026-01-01_00-00-00_000000'}_{os.getpid()}/sockets/plasma_store"
    most = _MOST_SOCKET_BYTES - len(longest)
    if (length := len(os.fsencode(folder))) > most:
        rule = f"must have at most {most} bytes, so that Ray's sockets can lie below it"
        raise UsageError(
            variable, rule, f"{length} bytes", "Set RAY_TMPDIR to a folder with a shorter name, such as /tmp"
        )


@contextmanager
def starting(address: str) -> Iterator[None]:
    """Turn what Ray raises while it is joined or started into one line.

    Args:
        address: As `cluster_address` returns it.

    Raises:
        UnreachableError: Ray raised something.
        UsageError: A name is not UTF-8.
    """
    try:
        yield
    except UnicodeError:  # Ray writes the command and folders into JSON
        rule = "can be used only if names of folders and words of the command are UTF-8"
        raise UsageError("Ray", rule, remedy="Rename the folder") from None
    except Exception as error:  # Ray raises a plain one for a node that takes too long to start
        cause = " ".join(str(error).split()) or type(error).__name__
        if address:
            raise UnreachableError(address, "Ray cannot be joined", remedy=_START, cause=cause) from error
        remedy = "Look into the newest folder of sessions below RAY_TMPDIR, or /tmp/ray"
        raise UnreachableError("Ray", "cannot be started on this machine", remedy=remedy, cause=cause) from error
