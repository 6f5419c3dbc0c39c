"""A head on this machine is reached without a proxy, and one that is not reached through a proxy is told with it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import ray

from anon_tune.cluster.jobs import Head
from anon_tune.errors import ClusterError


class _Dashboard(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        content = json.dumps({"version": "4", "ray_version": ray.__version__, "ray_commit": ray.__commit__}).encode()
        self.send_response(200 if self.path == "/api/version" else 503)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    for name in ("no_proxy", "NO_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    server = HTTPServer(("127.0.0.1", 0), _Dashboard)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_needs_no_proxy(port: int, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("NO_PROXY", "example.org")
    assert Head(f"http://{host}:{port}").address == f"http://{host}:{port}"


@pytest.mark.parametrize("listens", [True, False])
def test_a_proxy_that_does_not_reach_the_head_is_named_without_its_password(
    port: int, listens: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"127.0.0.1:{port if listens else 9}"
    monkeypatch.setenv("http_proxy", f"http://me:secret@{place}")
    with pytest.raises(ClusterError, match=rf"http://head\.invalid:8265: .*the proxy {place}.*NO_PROXY\.$") as error:
        Head("http://head.invalid:8265")
    assert "secret" not in str(error.value)
