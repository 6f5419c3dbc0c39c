"""``anon-tune verify``: measure the best trials of a study again, so that its front can be believed."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from anon_tune.cli import result
from anon_tune.cli.study_options import Package
from anon_tune.commands.results import write_report
from anon_tune.commands.verify import verify as run_verify

if TYPE_CHECKING:
    from anon_tune.driver import VerifyStep


def verify(
    directory: result.Study,
    seeds: Annotated[int, typer.Option(min=1, help="Repeats that each of these trials shall have.")] = 5,
    retrain: Annotated[
        bool,
        typer.Option(
            "--retrain", help="Train each repeat anew too, with its own training seed; else DIR/trials has the weights."
        ),
    ] = False,
    package: Package = None,
) -> None:
    """Measure the best trials again with new seeds; front, picks and report then use the means.

    Single measurements make a front too good: part of it stands there by luck.
    Measured are the anchors, the first two front ranks, and whoever means let in.
    Only these stay on the front. Repeats go to DIR/ledger as they arrive; given
    again, the command takes what is missing, after Ctrl-C or with more --seeds.
    """
    from anon_tune.driver import StudyInterrupted

    try:
        run_verify(directory, seeds, retrain, package or (), _show)
    except StudyInterrupted as stop:
        print(stop, file=sys.stderr)
        raise typer.Exit(130) from None
    result.front(directory)
    print(f"Report: {write_report(directory)}")


def _show(step: VerifyStep) -> None:
    score = step.repeat.score
    readings = f"leakage {score.leakage.value:.3f} accuracy {score.accuracy.value:.3f}"
    left = time.strftime("%H:%M:%S", time.gmtime(step.left_s))
    print(
        f"{step.trial} repeat {step.repeat.number}: {readings}; {step.done} of {step.total}, about {left} left",
        file=sys.stderr,
        flush=True,
    )
