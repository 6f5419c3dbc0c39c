"""``anon-tune submit`` and ``fetch``: run a study on a cluster from a machine outside it, and copy the results back."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperOption

from anon_tune.cli.help_text import Command
from anon_tune.cli.local_output import local_folder
from anon_tune.cli.status import Address
from anon_tune.cli.study import study_options
from anon_tune.cli.study_options import Package
from anon_tune.clips.built_in import BUILT_IN
from anon_tune.commands.study import planned
from anon_tune.commands.submit import Submission, check_outlives_job, check_shared
from anon_tune.commands.submit import fetch as run_fetch
from anon_tune.commands.submit import submit as run_submit
from anon_tune.errors import UsageError

if TYPE_CHECKING:
    from anon_tune.cluster.jobs import Head, JobState

_OTHER = "\0"  # a word that no command line can contain


class LikeStudy(Command):
    """A command that passes options it does not know on to `study`; its help lists the options of `study` too."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of both commands; nothing is parsed afterwards."""
        own = {option for param in self.params for option in param.opts}
        for param in ctx.find_root().command.commands["study"].params:
            if own.isdisjoint(param.opts):
                if isinstance(param, TyperOption):
                    param.rich_help_panel = "Options of anon-tune study"
                self.params.append(param)
        super().format_help(ctx, formatter)


Follow = Annotated[
    bool,
    typer.Option("--follow", help="Show the job's log until the job ends. Exit with 0 if it succeeded, else with 1."),
]
Resume = Annotated[
    str | None,
    typer.Option(
        metavar="DIR", help="Submit 'anon-tune resume DIR' instead of a new study; takes --trials and --stop."
    ),
]
Status = Annotated[
    str | None, typer.Option(metavar="JOB", help="Print the state of a job. With --follow, also show its log.")
]
Stop = Annotated[
    list[str] | None,
    typer.Option(
        metavar="JOB|NAME=VALUE",
        help="Without a search space: stop this job; its finished work is kept. With a search space: end the study "
        "early at a limit on seconds, gpu_hours, money or stall_trials, as in 'anon-tune study'.",
    ),
]


def submit(
    context: typer.Context,
    address: Address = None,
    follow: Follow = False,
    resume: Resume = None,
    status: Status = None,
    stop: Stop = None,
    package: Package = None,
) -> None:
    """Send a study to a cluster as a Ray job, and print the job's id.

    Takes the options of 'anon-tune study' and checks them before sending anything.
    The study directory and clip stores must be URIs, or absolute paths on storage that
    every node can reach. So must the files or folders of --storage and --mlflow. The job
    receives the files of this folder that git does not ignore, the search space with
    the files that it extends, and this package. Running the same command again continues
    the study.

    The head must require a token. Your token is read from RAY_AUTH_TOKEN, from the
    file that RAY_AUTH_TOKEN_PATH names, or from ~/.ray/auth_token. Set
    RAY_AUTH_MODE=disabled only for a head that no one else can reach.

    Example: anon-tune submit search_spaces/penalty.toml --clips avatars
    --out /shared/runs/penalty --address http://127.0.0.1:8265 --follow

    Then: anon-tune status JOB, anon-tune fetch JOB, anon-tune submit --stop JOB
    """
    from anon_tune.cluster.jobs import Head, find_address
    from anon_tune.driver.packages import bring_packages

    rest: list[str] = list(context.args)
    if status is not None or (stop and not rest and resume is None):
        if rest or resume is not None or (status is not None and stop) or len(stop or ()) > 1:
            raise UsageError("submit", "--status and --stop take one job and nothing else", " ".join(rest) or None)
        _ask(address, status, (stop or [""])[0], follow)
        return
    rest += [word for rule in stop or () for word in ("--stop", rule)]
    wheels = tuple(made.wheel for made in bring_packages(package or ()))
    checked = _checked_study(context, rest) if resume is None else _checked_resume(context, resume, rest)
    head = Head(find_address(address, "submit"))
    sent = run_submit(head, replace(checked, wheels=wheels))
    print(sent.job, flush=True)
    more = "" if follow else f"Log: anon-tune submit --status {sent.job} --follow. "
    print(
        f"Sent {sent.num_bytes / 2**20:.1f} MiB to {head.address}. {more}Then: anon-tune status {sent.job}, "
        f"anon-tune fetch {sent.job}, anon-tune submit --stop {sent.job}",
        file=sys.stderr,
        flush=True,
    )
    if follow:
        _follow(head, sent.job)


def fetch(
    target: Annotated[
        str, typer.Argument(metavar="JOB|DIR|URI", help="Id of a submitted job, or its study directory.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", parser=local_folder, help="Folder to write to. Default: runs/NAME."
        ),
    ] = None,
    address: Address = None,
    all_files: Annotated[
        bool, typer.Option("--all", help="Also copy the weights and previews of every trial.")
    ] = False,
    through_cluster: Annotated[
        bool,
        typer.Option(
            "--through-cluster",
            help="Let a job on the cluster read the study directory, even if this machine could read it.",
        ),
    ] = False,
) -> None:
    """Copy a study's ledger, report and certificates to this machine, even while the study runs.

    If this machine can read the study directory, the files are copied directly.
    Otherwise a small job on the cluster reads them and returns them in its log, at
    most 64 MiB. Running the command again updates the copy. 'anon-tune front' and
    'report' work on the copy, and so does 'export' after --all.
    """
    fetched = run_fetch(target, output, address, all_files, through_cluster)
    print(
        f"{fetched.num_trials} trials of {fetched.study} are in the copy. See them: anon-tune front {fetched.folder}",
        file=sys.stderr,
    )
    print(fetched.folder)


def _ask(address: str | None, status: str | None, stop: str, follow: bool) -> None:
    """Print the state of a job, or stop it."""
    from anon_tune.cluster.jobs import Head, find_address

    job = stop if status is None else status
    head = Head(find_address(address, "submit"))
    _say(head.stop(job) if status is None else head.state(job))
    if follow:
        _follow(head, job)


def _checked_study(context: typer.Context, words: list[str]) -> Submission:
    """Check the arguments of a study as 'anon-tune study' would, as far as possible without its clips."""
    from anon_tune.search.shipped import find_space

    planned(study_options(_parsed(context, "study", words)))
    as_given = _as_given(context, "study", words)
    for name in ("clips", "stills", "warm_start"):
        if name in as_given and as_given[name] not in (BUILT_IN if name == "clips" else (None,)):
            check_shared(f"--{name.replace('_', '-')}", as_given[name])
    for name in ("storage", "mlflow"):
        if name in as_given:
            check_outlives_job(f"--{name}", as_given[name])
    study, space = check_shared("--out", as_given["out"]), as_given["space"]
    # The same word may also be the value of an option such as --warm-start. The search space is the word whose
    # replacement changes the parsed search space.
    others = {at: [*words[:at], _OTHER, *words[at + 1 :]] for at, word in enumerate(words) if word == space}
    at = next(at for at, other in others.items() if _as_given(context, "study", other)["space"] == _OTHER)
    return Submission(verb="study", words=words, study=study, space=find_space(space), space_at=at)


def _checked_resume(context: typer.Context, directory: str, words: list[str]) -> Submission:
    words = [directory, *words]
    _parsed(context, "resume", words)
    return Submission(verb="resume", words=words, study=check_shared("--resume", directory))


def _parsed(context: typer.Context, verb: str, words: list[str]) -> dict[str, Any]:
    """Return the parameters of another command, checked and converted as that command would receive them."""
    command = context.find_root().command.commands[verb]  # type: ignore[attr-defined]
    params: dict[str, Any] = command.make_context("submit", list(words), context.parent).params
    return params


def _as_given(context: typer.Context, verb: str, words: list[str]) -> dict[str, Any]:
    """Return the parameters of another command as the user wrote them, without those that were left out."""
    command = context.find_root().command.commands[verb]  # type: ignore[attr-defined]
    spelt: dict[str, Any] = command.make_parser(context).parse_args(list(words))[0]
    return spelt


def _follow(head: Head, job: str) -> None:
    """Show a job's log on stderr, and exit with a code for the job's outcome."""
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
