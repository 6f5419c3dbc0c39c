"""Runs the dashboard's server on this machine until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import secrets
import signal
import socket
from collections.abc import Callable, Iterator, Sequence

from anon_tune.errors import UsageError
from anon_tune.folder import Location

_HOST = "127.0.0.1"
_STOPPED = (signal.SIGINT, signal.SIGTERM)


def serve(roots: Sequence[Location], port: int, say: Callable[[str], None]) -> None:
    """Serve the dashboard on 127.0.0.1 until SIGINT or SIGTERM arrives.

    Args:
        roots: Folders and URIs below which studies are looked for, while the server runs too.
        port: The port; 0 for a free one.
        say: Called with the address once the server accepts connections.

    Raises:
        UsageError: The port cannot be used.
    """
    token = secrets.token_urlsafe(24)
    with _listening(port) as sock:
        # From here on connections are accepted, and wait for the imports below, which take a second or two.
        say(f"http://{_HOST}:{sock.getsockname()[1]}/?token={token}")
        with contextlib.suppress(KeyboardInterrupt):  # before the loop takes care of signals
            asyncio.run(_serve(roots, token, sock))


async def _serve(roots: Sequence[Location], token: str, sock: socket.socket) -> None:
    over = asyncio.Event()
    for number in _STOPPED:
        asyncio.get_running_loop().add_signal_handler(number, over.set)

    import uvicorn

    from anon_tune.dashboard.routes import application
    from anon_tune.dashboard.watch import Watch

    watch = Watch(roots, token)
    settings = uvicorn.Config(
        application(watch, token),
        http="h11",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(settings)
    # uvicorn would raise the signals again at the end, as if the server had been killed.
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    watch.start()
    running = asyncio.create_task(server.serve([sock]))
    stopping = asyncio.create_task(over.wait())
    await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    watch.stop()
    await running


@contextlib.contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((_HOST, port))
            sock.listen(128)
        except OSError as error:
            rule = "the port is in use" if error.errno == errno.EADDRINUSE else "the port cannot be used"
            cause = "" if error.errno == errno.EADDRINUSE else os.strerror(error.errno or 0)
            remedy = "Choose another, or leave --port out to take a free one"
            raise UsageError("--port", rule, port, remedy, cause) from None
        yield sock
    finally:
        sock.close()
