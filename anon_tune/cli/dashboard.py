"""``anon-tune dashboard``: a local web page about studies."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from anon_tune.folder import Folder


def dashboard(
    runs: Annotated[
        list[Folder] | None,
        typer.Argument(
            metavar="[RUNS...]",
            parser=Folder.at,
            help="Study directories, or folders and URIs with study directories. Default: the folder 'runs' if there "
            "is one, else the current folder.",
        ),
    ] = None,
    port: Annotated[
        int,
        typer.Option(metavar="N", min=0, max=65535, help="Port on 127.0.0.1. Default: a free one.", show_default=False),
    ] = 0,
) -> None:
    """Show studies on a web page, also while they run. Prints the address; Ctrl-C ends the server.

    Only this machine can open the page, and only at the address with its token. To see it from another machine, forward
    the port: ssh -L 8000:127.0.0.1:PORT HOST. The page loads nothing from the network.
    """
    from anon_tune.dashboard import serve

    default = Folder.at("runs" if Folder.at("runs").path.is_dir() else ".")
    serve(runs or [default], port, _say)


def _say(address: str) -> None:
    sys.stdout.write(f"{address}\n")  # alone on a line, whatever the width of the terminal
    sys.stdout.flush()
