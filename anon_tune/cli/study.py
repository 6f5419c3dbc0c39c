"""``anon-tune study`` and ``resume``: start a search, or continue one that was stopped."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import typer

from anon_tune.cli import result
from anon_tune.cli import study_options as options
from anon_tune.cli.certify import certify as certify_front
from anon_tune.cli.named_values import named
from anon_tune.cli.verify import verify
from anon_tune.commands.results import check_outcome
from anon_tune.commands.study import ReadyStudy, StudyOptions, prepare_resume, prepare_study
from anon_tune.errors import on_one_line
from anon_tune.study_directory import StudyDirectory


def study(
    space: options.Space,
    clips: options.Clips,
    out: options.Out,
    stills: options.Stills = None,
    trials: options.Trials = None,
    draw_trials: options.DrawTrials = None,
    set_: options.Set = None,
    seed: options.Seed = 0,
    sampler: options.Sampler = None,
    rungs: options.Rungs = True,
    constraint: options.Constraint = None,
    stop: options.Stop = None,
    warm_start: options.WarmStart = None,
    storage: options.Storage = None,
    tensorboard: options.Tensorboard = True,
    mlflow: options.Mlflow = None,
    wandb: options.Wandb = None,
    workers: options.Workers = 1,
    cpus: options.Cpus = 1,
    gpus: options.Gpus = 0.0,
    max_concurrent: options.MaxConcurrent = None,
    scale_to: options.ScaleTo = None,
    max_failures: options.MaxFailures = 2,
    job_limit: options.JobLimit = None,
    certify: options.Certify = False,
    package: options.Package = None,
    allow_external: options.AllowExternal = False,
) -> None:
    """Run a study: propose, train and measure trials. Writes DIR/ledger and DIR/report.html.

    The study runs on this machine, or on the cluster that RAY_ADDRESS or a Ray job names.

    Names for --constraint: leakage_at_most, accuracy_at_least, seconds_per_frame_at_most, epsilon_at_most.
    """
    _run(prepare_study(study_options(locals())), certify)


def resume(
    directory: result.Study,
    trials: options.MoreTrials = None,
    stop: options.Stop = None,
    certify: options.Certify = False,
    package: options.Package = None,
    allow_external: options.AllowExternal = False,
) -> None:
    """Continue a study that was stopped, or make it longer. No finished work is lost.

    The stop rules of the study stay in force unless --stop gives others.
    """
    stops = named("--stop", stop)
    _run(prepare_resume(directory, trials, stops, package=package or (), allow_external=allow_external), certify)


def study_options(params: Mapping[str, Any]) -> StudyOptions:
    """Build the options of a study from the parameters of `study`."""
    texts = {"set": params["set_"], "constraint": params["constraint"], "stop": params["stop"]}
    parsed = {name: named(f"--{name}", given) for name, given in texts.items()}
    kept = {name: value for name, value in params.items() if name not in ("set_", *parsed)}
    return StudyOptions(**kept | parsed | {"package": tuple(params["package"] or ())})


def _run(ready: ReadyStudy, certify: bool) -> None:
    from anon_tune.cli.study_progress import StudyProgress
    from anon_tune.driver import StudyInterrupted

    for caution in ready.cautions:
        print(f"warning: {caution}", file=sys.stderr)
    try:
        with StudyProgress(ready.num_trials) as progress:
            done = ready.run(progress.show, lambda reason: print(f"Stopped: {reason}."))
    except StudyInterrupted as stop:
        print(stop, file=sys.stderr)
        raise typer.Exit(130) from None
    if ready.settings.storage or not ready.folder.is_remote:
        from anon_tune.trackers.optuna_storage import dashboard_command

        command = dashboard_command(StudyDirectory.at(ready.folder), ready.settings)
        print(f"To see the trials in Optuna's dashboard, a separate package: {command}")
    print(f"Report: {done.report()}")
    if (empty := check_outcome(ready.folder)) is not None:
        print(on_one_line(str(empty)))
    elif certify:
        verify(ready.folder, allow_external=ready.allow_external)
        certify_front(ready.folder, allow_external=ready.allow_external)
