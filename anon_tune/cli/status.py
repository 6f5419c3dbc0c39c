"""``anon-tune status``: print the state of a study."""

from __future__ import annotations

import json
import math
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from anon_tune.cli.clock import clock
from anon_tune.cli.front_plot import WIDTH, plot_front
from anon_tune.cli.rows import lay_out, terminal_width, wrapped
from anon_tune.commands.submit import JobStatus, head_of, look, looks_like_path
from anon_tune.errors import on_one_line
from anon_tune.utility_task import TASKS

if TYPE_CHECKING:
    from anon_tune.commands.status import StudyStatus

Address = Annotated[
    str | None,
    typer.Option(metavar="http://HEAD:8265", help="Address of the head's dashboard. Default: RAY_API_SERVER_ADDRESS."),
]


class StatusFormat(StrEnum):
    """How a status is printed."""

    TABLE = "table"
    JSON = "json"


def status(
    target: Annotated[str, typer.Argument(metavar="DIR|URI|JOB", help="Study directory, or id of a submitted job.")],
    address: Address = None,
    watch: Annotated[
        float | None,
        typer.Option(
            "--watch",
            min=0.1,
            metavar="SECONDS",
            help="Print the status at this interval until the study is over or no driver runs it.",
        ),
    ] = None,
    format: Annotated[
        StatusFormat,
        typer.Option(metavar="table|json", help="table or json. With --watch, json is one line per update."),
    ] = (StatusFormat.TABLE),
) -> None:
    """Print the state of a study, even while it runs: trials, hypervolume, cost and failures.

    Reads only study.toml and the ledger, so it works on any machine that can read them.
    """
    head = None if looks_like_path(target) else head_of(target, address)
    while True:
        found = look(target, head)
        if format is StatusFormat.JSON:
            print(json.dumps(found.to_json(), indent=2 if watch is None else None, allow_nan=False), flush=True)
        else:
            _print_status(found)
        if watch is None or found.is_over:
            return
        try:
            time.sleep(watch)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        if format is StatusFormat.TABLE:
            print(flush=True)


def show_status(status: StudyStatus, now: float, width: int | None = None) -> str:
    """Lay out the state of a study for a terminal.

    Args:
        status: The state.
        now: Unix time.
        width: Columns of the terminal; None for no limit.
    """
    is_left = status.driver is None  # unfinished trials then wait for a driver
    names = {"TO_COME": "to come", **({"RUNNING": "unfinished"} if is_left else {})}
    counts = ", ".join(f"{n} {names.get(state, state.lower())}" for state, n in status.states.items() if n)
    cost = status.cost
    spent = f"spent {cost.cpu_s / 3600:.2f} CPU-h, {cost.gpu_s / 3600:.2f} GPU-h"
    if cost.money:
        spent += f", money {cost.money:.2f}"
    last = "none yet" if status.last_record is None else f"{clock(now - status.last_record)} ago"
    lines = [
        f"{status.study}: {status.num_trials} trials: {counts}",
        f"hypervolume {_number(status.hypervolume)} (validation {_number(status.hypervolume_validation)}), "
        f"{status.num_on_front} on the front of the validation split",
        *([on_one_line(status.empty)] if status.empty is not None else []),
        *(on_one_line(str(choice)) for choice in status.choices),
        spent,
        f"{_how_it_goes(status)}, last record {last}" if not status.is_complete else "complete",
    ]
    rows = [
        [
            *(t.id, t.method),
            *((str(t.reports[-1].rung), str(t.reports[-1].step)) if t.reports else ("", "")),
            clock(now - t.ended),
        ]
        for t in status.running
    ]
    heads = ["unfinished" if is_left else "running", "method", "last rung", "step", "since"]
    failures = [on_one_line(f"{t.id} FAILED {clock(now - t.ended)} ago: {t.reason}") for t in status.failures]
    plot = plot_front(status.points, "test", min(width or WIDTH, WIDTH), TASKS[status.task])
    lines, failures = ([wrapped(line, width) for line in part] for part in (lines, failures))
    return "\n".join([*lines, *([lay_out(heads, rows, width)] if rows else []), *failures, *([plot] if plot else [])])


def _how_it_goes(status: StudyStatus) -> str:
    if status.driver is not None:
        return f"about {clock(status.left_s)} left"
    if status.copied_from is not None:
        return f"a copy of {status.copied_from}, which may have gone on since"
    return f"no driver holds this study (go on with: anon-tune resume {status.study})"


def _number(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "?"


def _print_status(status: StudyStatus | JobStatus) -> None:
    study: StudyStatus | None
    if isinstance(status, JobStatus):
        study, job = status.study, status.job
        print(f"job {status.job_id}: {job.name}. {job.message}")
        if study is None and job.study:
            print(f"{job.study}: cannot be read from here. Copy it: anon-tune fetch {status.job_id}")
        elif study is None:
            print("This job runs no study.")
    else:
        study = status
    if study is not None:
        print(show_status(study, time.time(), terminal_width()))
