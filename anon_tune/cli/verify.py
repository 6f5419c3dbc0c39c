"""``anon-tune verify``: measure the best trials of a study again, so that its front can be trusted."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from anon_tune.cli import result
from anon_tune.cli.clock import clock
from anon_tune.cli.study_options import AllowExternal, Package
from anon_tune.commands.results import write_report
from anon_tune.commands.verify import verify as run_verify
from anon_tune.errors import on_one_line
from anon_tune.utility_task import TASKS

if TYPE_CHECKING:
    from anon_tune.driver import VerifyStep


def verify(
    directory: result.Study,
    seeds: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Number of repeats that each measured trial should have. Default: 3, and up to 8 if they differ much.",
        ),
    ] = None,
    retrain: Annotated[
        bool,
        typer.Option(
            "--retrain",
            help="Also train each repeat from scratch, with its own training seed. Once there is such a repeat, "
            "repeats that were only measured no longer count. Default: measure the weights in DIR/trials.",
        ),
    ] = False,
    package: Package = None,
    allow_external: AllowExternal = False,
) -> None:
    """Measure the best trials again with new seeds. The front, picks and report then use the means.

    A front of single measurements looks too good, because some trials are on it by
    luck. This command measures the anchors and the first two front ranks again, and
    every trial that enters them once means are compared. Only these trials stay on
    the front. Each repeat is written to DIR/ledger as soon as it is measured. After
    Ctrl-C, or with more --seeds, the same command measures only the missing repeats.
    """
    from anon_tune.driver import StudyInterrupted

    try:
        run_verify(directory, seeds, retrain, package or (), _show, allow_external)
    except StudyInterrupted as stop:
        print(stop, file=sys.stderr)
        raise typer.Exit(130) from None
    result.front(directory)
    print(f"Report: {write_report(directory)}")


def _show(step: VerifyStep) -> None:
    score = step.repeat.score
    readings = f"leakage {score.leakage.value:.3f} {TASKS[score.task].objective} {score.accuracy.value:.3f}"
    done = f"{step.done} of {step.total}, about {clock(step.left_s)} left"
    said = f"{step.trial_id} repeat {step.repeat.number}: {readings}; {done}"
    print(on_one_line(said), file=sys.stderr, flush=True)
