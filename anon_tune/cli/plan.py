"""``anon-tune plan``: say what a study will cost before it runs."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from anon_tune.cli import study_options as options
from anon_tune.cli.named_values import named


class Format(StrEnum):
    """How a plan is printed."""

    MARKDOWN = "markdown"
    JSON = "json"


def plan(
    space: options.Space,
    clips: options.Clips,
    stills: options.Stills = None,
    trials: options.Trials = None,
    set_: options.Set = None,
    seed: options.Seed = 0,
    sampler: options.Sampler = None,
    workers: options.Workers = 1,
    cpus: options.Cpus = 1,
    gpus: options.Gpus = 0.0,
    max_concurrent: options.MaxConcurrent = None,
    cluster: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Cluster file with the nodes and prices to plan for. Default: this machine, without prices.",
        ),
    ] = None,
    package: options.Package = None,
    format: Annotated[Format, typer.Option(metavar="markdown|json", help="markdown or json.")] = Format.MARKDOWN,
) -> None:
    """Forecast what a study will take: seconds per trial, memory, hours and money.

    Trains a few steps of the cheapest and of the most expensive recipe of the search
    space on this machine, and measures them on a few clips. Nothing is written. Most
    options are those of 'anon-tune study'.
    """
    from anon_tune.cli.plan_view import document, markdown
    from anon_tune.commands.plan import PlanOptions, plan_study

    given = PlanOptions(
        space=space,
        clips=clips,
        stills=stills,
        trials=trials,
        set=named("--set", set_),
        seed=seed,
        sampler=sampler,
        workers=workers,
        cpus=cpus,
        gpus=gpus,
        max_concurrent=max_concurrent,
        cluster=cluster,
        package=tuple(package or ()),
    )
    made = plan_study(given, lambda what: print(f"Timing {what}", file=sys.stderr, flush=True))
    print(json.dumps(document(made), indent=2, allow_nan=False) if format is Format.JSON else markdown(made))
