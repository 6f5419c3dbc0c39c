"""``anon-tune submit``, ``status`` and ``fetch``: a study on a cluster, from a machine that is not part of it."""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperOption

from anon_tune.address import refuse_secret
from anon_tune.cli.study import BUILT_IN, planned
from anon_tune.errors import ClusterError
from anon_tune.folder import Folder, is_uri
from anon_tune.study_directory import StudyDirectory

if TYPE_CHECKING:
    from anon_tune.cluster.jobs import Head, JobState

Address = Annotated[
    str | None,
    typer.Option(metavar="http://HEAD:8265", help="Of the head's dashboard; else RAY_API_SERVER_ADDRESS."),
]


class StatusFormat(StrEnum):
    """How a status is printed."""

    TABLE = "table"
    JSON = "json"


class LikeStudy(TyperCommand):
    """A command that passes on what it does not know to `study`, whose options its help lists."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of both commands; nothing is parsed afterwards."""
        own = {option for param in self.params for option in param.opts}
        for param in ctx.find_root().command.commands["study"].params:
            if own.isdisjoint(param.opts):
                if isinstance(param, TyperOption):
                    param.rich_help_panel = "Options of anon-tune study"
                self.params.append(param)
        super().format_help(ctx, formatter)


def submit(
    context: typer.Context,
    address: Address = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Show the job's log until it ends; exit with 0 if it succeeded, else 1.")
    ] = False,
    resume: Annotated[
        str | None, typer.Option(metavar="DIR", help="Send 'anon-tune resume DIR' instead; takes --trials and --stop.")
    ] = None,
    status: Annotated[
        str | None, typer.Option(metavar="JOB", help="Print how a job stands; with --follow show its log.")
    ] = None,
    stop: Annotated[
        list[str] | None,
        typer.Option(
            metavar="JOB|NAME=VALUE",
            help="Without a search space: stop a job; what it finished is kept. With one, as of 'anon-tune study': "
            "end early at seconds, gpu_hours, money or stall_trials.",
        ),
    ] = None,
) -> None:
    """Send a study to a cluster as a Ray job, and print the job's id.

    Takes what 'anon-tune study' takes, and checks it before it sends it. The
    study directory and clip stores must be absolute paths on storage that every
    node sees, or URIs. Sent are the files of this folder that git does not
    ignore, the search space with what it extends, and this package. Given
    again, the command goes on with its study.

    The head must ask for a token. Yours is in RAY_AUTH_TOKEN, in the file that
    RAY_AUTH_TOKEN_PATH names, or in ~/.ray/auth_token. RAY_AUTH_MODE=disabled
    is for a head that nobody else can reach.

    Example: anon-tune submit search_spaces/penalty.toml --clips avatars
    --out /shared/runs/penalty --address http://127.0.0.1:8265 --follow

    Then: anon-tune status JOB, anon-tune fetch JOB, anon-tune submit --stop JOB
    """
    from anon_tune.cluster.jobs import Head, find_address

    rest: list[str] = list(context.args)
    if status is not None or (stop and not rest and resume is None):
        if rest or resume is not None or (status is not None and stop) or len(stop or ()) > 1:
            raise ClusterError("submit", "--status and --stop take one job and nothing else", " ".join(rest) or None)
        job = status or (stop or [""])[0]
        head = Head(find_address(address, "submit"))
        _say(head.stop(job) if status is None else head.state(job))
        if follow:
            _follow(head, job)
        return
    rest += [word for rule in stop or () for word in ("--stop", rule)]
    verb, words = ("study", rest) if resume is None else ("resume", [resume, *rest])
    command = context.find_root().command.commands[verb]  # type: ignore[attr-defined]
    checked = command.make_context("submit", list(words), context.parent)
    as_given: dict[str, Any] = command.make_parser(checked).parse_args(list(words))[0]
    if resume is None:
        planned(checked.params)
        for name in ("clips", "stills", "warm_start"):
            if name in as_given and as_given[name] != (BUILT_IN if name == "clips" else None):
                _shared(f"--{name.replace('_', '-')}", as_given[name])
    study = _shared("--out", as_given["out"]) if resume is None else _shared("--resume", resume)
    _send(Head(find_address(address, "submit")), [verb, *words], study, as_given.get("space"), follow)


def status(
    target: Annotated[str, typer.Argument(metavar="DIR|URI|JOB", help="Study directory, or id of a submitted job.")],
    address: Address = None,
    watch: Annotated[
        float | None,
        typer.Option("--watch", min=0.1, metavar="SECONDS", help="Look again and again, until it is over."),
    ] = None,
    format: Annotated[StatusFormat, typer.Option(help="table or json (with --watch one line a look).")] = (
        StatusFormat.TABLE
    ),
) -> None:
    """Say how a study stands, also while it runs: trials, hypervolume, what was spent, what failed.

    Reads study.toml and the ledger alone, wherever they can be seen from.
    """
    from anon_tune.cli.study_status import show_status

    head = None if _looks_like_path(target) else _head_of(target, address)
    while True:
        document, is_over = _look(target, head)
        if format is StatusFormat.JSON:
            print(json.dumps(document, indent=2 if watch is None else None, allow_nan=False), flush=True)
        else:
            _print_status(document, show_status)
        if watch is None or is_over:
            return
        try:
            time.sleep(watch)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        if format is StatusFormat.TABLE:
            print(flush=True)


def fetch(
    target: Annotated[
        str, typer.Argument(metavar="JOB|DIR|URI", help="Id of a submitted job, or its study directory.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", file_okay=False, help="Folder to write; else runs/NAME.")
    ] = None,
    address: Address = None,
    all_files: Annotated[bool, typer.Option("--all", help="Also weights and previews of every trial.")] = False,
    through_cluster: Annotated[
        bool, typer.Option("--through-cluster", help="Do not look here: let a job on the cluster read DIR.")
    ] = False,
) -> None:
    """Bring a study's ledger, report and certificates here, also while it runs.

    Copied if the study can be seen from here; else a small job on the cluster
    reads it, and the files come back in its log: 64 MiB at most. Given again,
    the command brings the copy up to date. 'anon-tune front', 'report' and,
    with --all, 'export' work on the copy.
    """
    from anon_tune.cluster.copying import read_study, write_copy
    from anon_tune.cluster.fetching import fetch_through

    head = None if _is_seen(target) and not through_cluster else _head_of(target, address)
    study = _study_of(head, target) if head is not None and not _looks_like_path(target) else str(Folder.at(target))
    if _is_seen(study) and not through_cluster:
        head = None
    folder = output or Path("runs") / Folder.at(study).name
    if str(folder.resolve()) == study:
        raise ClusterError(str(folder), "is the study itself", remedy="Give another folder with -o")
    files = read_study(study, all_files) if head is None else fetch_through(head, study, all_files)
    count = write_copy(files, folder, study)
    print(f"{count} trials of {study} are in the copy. Look at it: anon-tune front {folder}", file=sys.stderr)
    print(folder)


def _shared(option: str, location: str) -> str:
    if not _is_anywhere(location):
        rule = "must be an absolute path on storage that every node sees, or a URI"
        raise ClusterError(option, rule, location, "A job runs in a copy of this folder that is thrown away")
    refuse_secret(option, location)
    return location


def _send(head: Head, words: list[str], study: str, space: str | None, follow: bool) -> None:
    from anon_tune.cluster.fetching import send_study

    job, size = send_study(head, words, study, space)
    print(job, flush=True)
    more = "" if follow else f"Log: anon-tune submit --status {job} --follow. "
    print(
        f"Sent {size / 2**20:.1f} MiB to {head.address}. {more}Then: anon-tune status {job}, anon-tune fetch {job}, "
        f"anon-tune submit --stop {job}",
        file=sys.stderr,
        flush=True,
    )
    if follow:
        _follow(head, job)


def _follow(head: Head, job: str) -> None:
    """Show a job's log on stderr, and exit with the job's outcome."""
    try:
        for text in head.follow(job):
            print(text, end="", file=sys.stderr, flush=True)
        state = head.wait(job)
    except KeyboardInterrupt:
        print(
            f"\nThe job goes on. Follow it: anon-tune submit --status {job} --follow. "
            f"Stop it: anon-tune submit --stop {job}",
            file=sys.stderr,
        )
        raise typer.Exit(130) from None
    print(f"Job {job}: {state.name}", file=sys.stderr)
    if state.name != "SUCCEEDED":
        raise typer.Exit(1)


def _say(state: JobState) -> None:
    print(state.name, flush=True)
    print(state.message, file=sys.stderr, flush=True)


def _is_seen(location: str) -> bool:
    """True if there is a study that can be read from here."""
    with suppress(OSError):  # a store that this machine has no credentials for, or cannot reach
        return StudyDirectory.at(location).frozen.exists()
    return False


def _is_anywhere(study: str) -> bool:
    """True for a directory that means the same here as on the cluster."""
    return is_uri(study) or study.startswith("/")


def _looks_like_path(target: str) -> bool:
    return "/" in target or Path(target).is_dir()


def _head_of(target: str, address: str | None) -> Head:
    from anon_tune.cluster.jobs import Head, find_address

    what = f"{target}: no study can be seen there from here" if _looks_like_path(target) else f"job {target}"
    return Head(find_address(address, what))


def _study_of(head: Head, job: str) -> str:
    study = head.state(job).study
    if not _is_anywhere(study):
        raise ClusterError(
            job, "this job runs no study that can be found", remedy="Give a job that 'anon-tune submit' has sent"
        )
    return study


def _look(target: str, head: Head | None) -> tuple[dict[str, Any], bool]:
    """Return how a study stands, with its job if that was asked for, and whether it is over."""
    from anon_tune.cli.study_status import study_status

    if head is None:
        document = study_status(target)
        return document, document["is_complete"]
    state = head.state(target)
    job = {"id": target, "state": state.name, "message": state.message}
    document = {"job": job, "study": state.study or None}
    if _is_anywhere(state.study) and _is_seen(state.study):
        document = study_status(state.study) | {"job": job}
    return document, state.is_over


def _print_status(document: dict[str, Any], show: Any) -> None:
    from rich.console import Console

    if "job" in document:
        job = document["job"]
        print(f"job {job['id']}: {job['state']}. {job['message']}")
    if "states" in document:
        Console(highlight=False, width=None if sys.stdout.isatty() else 400).print(show(document, time.time()))
    elif document["study"]:
        print(f"{document['study']}: cannot be seen from here. Bring it: anon-tune fetch {document['job']['id']}")
    else:
        print("This job runs no study.")
