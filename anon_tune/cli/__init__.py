"""The command line. Each verb parses its options, calls a command and prints the result. Imports wait until then."""

from __future__ import annotations

import errno
import inspect
import io
import os
import select
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Annotated

import typer
from typer.core import TyperCommand

import anon_tune
from anon_tune.cli import (
    anonymize,
    audit,
    certify,
    clips,
    cluster,
    dashboard,
    jobs,
    plan,
    privacy,
    result,
    status,
    study,
    table,
    verify,
)
from anon_tune.cli.help_text import Command, Group
from anon_tune.cli.list_options import spread_lists
from anon_tune.errors import AnonTuneError, UsageError

app = typer.Typer(
    name="anon-tune",
    cls=Group,
    help="Search for the best way to train a video anonymizer. The result is a Pareto front of privacy leakage against "
    "action accuracy.",
    epilog="A first study: anon-tune study quickstart --clips avatars --out runs/first",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _paragraphs(verb: Callable[..., object] | None) -> str:
    """Return a verb's docstring with each paragraph on one line, as typer would keep line breaks at any width."""
    return "\n\n".join(" ".join(text.split()) for text in (inspect.getdoc(verb) or "").split("\n\n"))


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"anon_tune {anon_tune.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


app.add_typer(clips.app, name="clips")
app.add_typer(cluster.app, name="cluster")
app.command("study")(study.study)
app.command("plan")(plan.plan)
app.command("resume")(study.resume)
app.command("verify")(verify.verify)
app.command("certify")(certify.certify)
app.command("front")(result.front)
app.command("table")(table.table)
app.command("report")(result.report)
app.command("dashboard")(dashboard.dashboard)
app.command("export")(result.export)
app.command("privacy")(privacy.privacy)
app.command("audit")(audit.audit)
app.command(
    "submit",
    cls=jobs.LikeStudy,
    no_args_is_help=True,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)(jobs.submit)
app.command("status")(status.status)
app.command("fetch")(jobs.fetch)
app.command("anonymize")(anonymize.anonymize)
for _group in (app, clips.app, cluster.app):
    for _verb in _group.registered_commands:
        _verb.help = _paragraphs(_verb.callback)
        if _verb.cls is TyperCommand:
            _verb.cls = Command


def main() -> None:
    """Run the command line. A user's mistake prints one line on stderr and exits with code 2."""
    before = _output()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that is not UTF-8 shows ? for other characters; names that are not UTF-8 keep their bytes.
            is_utf8 = stream.encoding.lower().replace("-", "") == "utf8"
            stream.reconfigure(errors="surrogateescape" if is_utf8 else "replace")
    try:
        try:
            _refuse_empty(sys.argv[1:])
            app(args=spread_lists(sys.argv[1:]))
        finally:
            sys.stdout.flush()  # here a broken pipe is still handled below; at interpreter exit it would not be
    except AnonTuneError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except SystemExit as end:
        # Typer exits silently on any broken pipe. Rich does so only for our own output, and replaces it by /dev/null.
        if isinstance(end.__context__, BrokenPipeError) and _output() == before:
            _end(end.__context__)
        raise
    except OSError as error:  # for example a store that cannot be reached, or a folder without read permission
        _end(error)


def _refuse_empty(words: Sequence[str]) -> None:
    """Refuse an empty word, as of a variable that is not set. As a path, it would be the current folder."""
    if "" in words:
        before = words[words.index("") - 1]
        where = before if words[0] and before.startswith("-") else "anon-tune"
        raise UsageError(where, "must not be given an empty text", remedy="Set the variable that it comes from")


def _end(error: OSError) -> None:
    """Print the system's error and exit with 2; exit with 1, silently, if a reader such as `head` closed our output."""
    if isinstance(error, BrokenPipeError) and _reader_is_gone():
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    from anon_tune.folder import why

    where = error.filename or ("the file system" if _is_of_files(error) else "a connection")
    print(f"error: {where}: {why(error)}.", file=sys.stderr)
    sys.exit(2)


def _is_of_files(error: OSError) -> bool:
    """False for an error of a network: by its class, by its number, or because a library raised it without a number."""
    networks = (errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL)
    is_network = isinstance(error, ConnectionError | TimeoutError | socket.gaierror)
    return error.errno is not None and not is_network and error.errno not in networks


def _output() -> tuple[int, int] | None:
    """Return the identity of the file that stdout writes to; None if it is closed."""
    with suppress(OSError):
        status = os.fstat(1)
        return status.st_dev, status.st_ino
    return None


def _reader_is_gone() -> bool:
    """True if our output has no reader any more. The connection to a store or to a head can break in the same way."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)  # POLLERR and POLLHUP are always reported
    return bool(poll.poll(0))
