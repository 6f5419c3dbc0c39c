"""``anon-tune certify``: audit the front of a study in parallel over the cluster."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from anon_tune.cli import result
from anon_tune.cli.audit_options import Seeds, Set
from anon_tune.cli.clock import clock
from anon_tune.cli.named_values import named
from anon_tune.cli.study_options import AllowExternal, Package
from anon_tune.commands.certify import certify as run_certify
from anon_tune.commands.results import write_report
from anon_tune.errors import on_one_line
from anon_tune.utility_task import TASKS

if TYPE_CHECKING:
    from anon_tune.commands.certify import CertifyStep


def certify(
    directory: result.Study,
    trial: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Certify this trial instead of the front. May be repeated."),
    ] = None,
    seeds: Seeds = None,
    set_: Set = None,
    package: Package = None,
    allow_external: AllowExternal = False,
) -> None:
    """Certify the front: audit its trials, as 'anon-tune audit' does, several at a time.

    A study measures every trial with little effort. This command trains more attackers,
    and trains them until they stop improving. The report, 'front' and 'export' then show
    the certified numbers. Each certificate is written to DIR/audits as soon as it is
    made. After Ctrl-C, the same command audits only the trials that have no certificate
    of this effort. To choose the front by repeated measurements first, run 'anon-tune
    verify'.
    """
    try:
        values = named("--set", set_)
        made = run_certify(directory, trial or (), seeds, values, package or (), show_step, allow_external)
    except KeyboardInterrupt:
        print("Stopped. Certificates that were made are kept; go on with the same command.", file=sys.stderr)
        raise typer.Exit(130) from None
    report = write_report(directory)
    result.front(directory)
    print(f"Report: {report}")
    if any(certificate.status == "REFUSED" for certificate in made.values()):
        raise typer.Exit(1)


def show_step(step: CertifyStep) -> None:
    """Print a line about a step on stderr."""
    if not step.trial_id:
        trials = "1 trial" if step.total - step.done == 1 else f"{step.total - step.done} trials"
        said = f"Measuring raw clips, then {trials}"
    elif step.certificate is None:
        said = f"{step.trial_id}: {step.error}"
    else:
        one = step.certificate
        objective = f"{TASKS[one.task].objective} {one.accuracy:.3f}"
        said = f"{step.trial_id} {one.status.replace('_', ' ')}: leakage {one.leakage:.3f} {objective}"
    if math.isfinite(step.left_s):
        said += f"; {step.done} of {step.total}, about {clock(step.left_s)} left"
    print(on_one_line(said), file=sys.stderr, flush=True)
