"""``anon-tune cluster``: check the files that start the nodes of a cluster."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anon_tune.cli.help_text import Group

if TYPE_CHECKING:
    from anon_tune.cluster.check import Expectation
    from anon_tune.cluster.nodes import Cluster
    from anon_tune.study.settings import StudySettings

app = typer.Typer(
    name="cluster", cls=Group, help="Check a cluster file before starting any node.", no_args_is_help=True
)

_WIDTH = 100


class Format(StrEnum):
    """How a check is printed."""

    TABLE = "table"
    JSON = "json"


@app.callback()
def _root() -> None:
    """Check a cluster file before starting any node."""


@app.command("check")
def check(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="File for Ray's cluster launcher, for KubeRay or for sbatch.")
    ],
    study: Annotated[
        str | None, typer.Option(metavar="DIR", help="Study directory; its trials must fit on the cluster.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Workers per trial. Default: the study's; 1 without a study.")
    ] = None,
    cpus: Annotated[
        float | None, typer.Option(metavar="N", min=0, help="CPUs per worker. Default: the study's; 1 without a study.")
    ] = None,
    gpus: Annotated[
        float | None, typer.Option(metavar="N", min=0, help="GPUs per worker. Default: the study's; 0 without a study.")
    ] = None,
    crds: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            file_okay=False,
            exists=True,
            envvar="ANON_TUNE_KUBERAY_CRDS",
            help="Folder with KubeRay's CRDs, as YAML.",
        ),
    ] = None,
    format: Annotated[Format, typer.Option(metavar="table|json", help="table or json.")] = Format.TABLE,
) -> None:
    """Check a cluster file offline. Print how many trials run at a time and what an hour costs."""
    from anon_tune.cluster.check import check_file, expect

    cluster, errors = check_file(file, crds)
    if errors or cluster is None:
        for error in errors:
            print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2)
    settings = _settings(study, workers, cpus, gpus)
    expected = expect(cluster, settings)
    if format is Format.JSON:
        print(json.dumps(_document(cluster, expected, settings), indent=2, allow_nan=False))
    else:
        _print(cluster, expected, settings)


def _settings(study: str | None, workers: int | None, cpus: float | None, gpus: float | None) -> StudySettings:
    from anon_tune.errors import UsageError
    from anon_tune.study.frozen_study import read_study
    from anon_tune.study.settings import StudySettings

    settings = read_study(study)[1] if study else StudySettings()
    if cpus == 0:
        raise UsageError("--cpus", "must be more than 0", remedy="Every worker is a process, which needs a CPU")
    given = {"workers_per_trial": workers, "cpus_per_worker": cpus, "gpus_per_worker": gpus}
    return settings.model_copy(update={name: value for name, value in given.items() if value is not None})


def _document(cluster: Cluster, expected: Expectation, settings: StudySettings) -> dict[str, Any]:
    return {
        "file": cluster.file,
        "kind": cluster.kind,
        "name": cluster.name,
        "trial": {
            "workers": settings.workers_per_trial,
            "cpus_per_worker": settings.cpus_per_worker,
            "gpus_per_worker": settings.gpus_per_worker,
        },
        "node_types": [
            {
                "name": fit.node_type.name,
                "is_head": fit.node_type.is_head,
                "at_least": fit.node_type.at_least,
                "at_most": fit.node_type.at_most,
                "cpus": fit.node_type.resources.get("CPU", 0),
                "gpus": fit.node_type.resources.get("GPU", 0),
                "workers_a_node": fit.workers,
                "trials_a_node": fit.trials,
                "price_per_hour": fit.node_type.price_per_hour,
                "price_per_trial_hour": fit.price_per_trial_hour,
            }
            for fit in expected.fits
        ],
        "max_workers": cluster.max_workers,
        "max_trials": expected.max_trials,
        "price_per_hour": {"least": expected.least_per_hour, "most": expected.most_per_hour},
        "unchecked": cluster.unchecked,
        "notes": list(cluster.notes),
    }


def _print(cluster: Cluster, expected: Expectation, settings: StudySettings) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    # A pipe has no width to fit.
    show = Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)
    name = f", {cluster.name}" if cluster.name else ""
    show.print(escape(f"{cluster.file}: {cluster.kind}{name}"))
    if cluster.unchecked:
        show.print(f"[bold]Not checked[/]: {escape(cluster.unchecked)}.", soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    table.add_column("nodes")
    for title in ("up", "CPUs", "GPUs", "trials per node", "price per hour", "per trial-hour"):
        table.add_column(title, justify="right")
    for fit in expected.fits:
        node = fit.node_type
        up = f"{node.at_least}" if node.at_least == node.at_most else f"{node.at_least} to {node.at_most}"
        numbers = [f"{node.resources.get(resource, 0):g}" for resource in ("CPU", "GPU")]
        trials = str(fit.trials)
        if fit.workers and not fit.trials:
            trials = f"1 on {-(-settings.workers_per_trial // fit.workers)}"
        prices = ["-" if price is None else f"{price:.2f}" for price in (node.price_per_hour, fit.price_per_trial_hour)]
        table.add_row(escape(node.name), up, *numbers, trials, *prices)
    show.print(table)
    many = settings.workers_per_trial > 1
    needs = f"{settings.cpus_per_worker:g} CPU and {settings.gpus_per_worker:g} GPU"
    trial = f"{settings.workers_per_trial} workers with {needs} each" if many else needs
    show.print(f"A trial takes {trial}. Trials at a time, at most: [bold]{expected.max_trials}[/].")
    if any(fit.workers and fit.node_type.at_least < fit.node_type.at_most for fit in expected.fits):
        show.print(f"To start nodes for waiting trials, give the study --scale-to {expected.max_trials}.")
    show.print(
        f"An hour costs [bold]{expected.least_per_hour:.2f} to {expected.most_per_hour:.2f}[/], "
        "by the price labels in the file."
    )
    for note in cluster.notes:
        show.print(f"- {escape(note)}", soft_wrap=True)
