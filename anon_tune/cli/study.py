"""``anon-tune study`` and ``resume``: run a search, from nothing or from where it stopped."""

from __future__ import annotations

import os
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from anon_tune.cli import result
from anon_tune.errors import DataError, UsageError
from anon_tune.folder import Folder, is_uri
from anon_tune.study_directory import StudyDirectory

if TYPE_CHECKING:
    from anon_tune.clips import Clips
    from anon_tune.search import SearchSpace
    from anon_tune.study import StudySettings
    from anon_tune.trial import TrialBody

BUILT_IN = "avatars"
Stop = Annotated[
    list[str] | None,
    typer.Option(
        "--stop",
        metavar="NAME=VALUE",
        help="End early: seconds, gpu_hours, money, stall_trials (begun since hypervolume grew). May be repeated.",
    ),
]


def study(
    space: Annotated[Path, typer.Argument(metavar="SPACE.toml", help="Search space; some are in search_spaces/.")],
    clips: Annotated[
        str, typer.Option(metavar="avatars|DIR|URI", help="Built-in clips, or a clip store, as s3://bucket/store.")
    ],
    out: Annotated[
        Folder,
        typer.Option(
            metavar="DIR|URI",
            parser=Folder.at,
            help="Study directory, also as s3://bucket/study; one that holds this study is continued.",
        ),
    ],
    stills: Annotated[
        str | None,
        typer.Option(
            metavar="DIR|URI",
            help="A second clip store, such as of vispr: the privacy branch learns on its training stills instead. "
            "Measured is on --clips alone.",
        ),
    ] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials, anchors not counted; else the space's.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Fix a recipe value, as in training.seed=1.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the sampler.")] = 0,
    sampler: Annotated[
        Literal["auto", "gp", "tpe", "nsga2", "random", "qmc", "grid"] | None, typer.Option(help="Else the space's.")
    ] = None,
    rungs: Annotated[bool, typer.Option(help="Stop hopeless trials early.")] = True,
    constraint: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="leakage_at_most, accuracy_at_least or seconds_per_frame_at_most. May be repeated.",
        ),
    ] = None,
    stop: Stop = None,
    warm_start: Annotated[
        Folder | None,
        typer.Option(
            metavar="DIR|URI", parser=Folder.at, help="An earlier study on these clips that the sampler learns from."
        ),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Optuna storage without a password; else a journal file in the study."),
    ] = None,
    tensorboard: Annotated[bool, typer.Option(help="Write event files to DIR/tensorboard.")] = True,
    mlflow: Annotated[str | None, typer.Option(metavar="URI", help="Tell an MLflow server or folder too.")] = None,
    wandb: Annotated[str | None, typer.Option(metavar="PROJECT", help="Tell Weights & Biases too.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Workers that train one anonymizer together.")] = 1,
    cpus: Annotated[int, typer.Option(min=1, help="CPUs of a worker.")] = 1,
    gpus: Annotated[float, typer.Option(min=0, help="GPUs of a worker; may be a fraction.")] = 0.0,
    max_concurrent: Annotated[int | None, typer.Option(min=1, help="Trials at a time; else what fits.")] = None,
    scale_to: Annotated[
        int | None,
        typer.Option(
            min=1, help="Trials for which an autoscaler is to start nodes; else as many as fit what is there."
        ),
    ] = None,
    max_failures: Annotated[int, typer.Option(min=0, help="Retries of a trial whose worker died or hung.")] = 2,
    job_limit: Annotated[
        float | None,
        typer.Option(min=0.1, metavar="SECONDS", help="Longer to the next rung means hung: tried again."),
    ] = None,
) -> None:
    """Run a study: train, measure, search. Writes DIR/ledger and DIR/report.html.

    Runs on this machine, or on the cluster that RAY_ADDRESS or a Ray job names.
    """
    loaded, settings = planned(locals())
    if not out.is_remote and out.path.is_file():
        raise UsageError("--out", "must be a directory, and this is a file", str(out), "Give another")
    found = find_clips(clips, out)
    measured_on: dict[str, Any] = {"clips_fingerprint": found.fingerprint}
    if clips != BUILT_IN:
        measured_on["clips"] = found.location
    if stills:
        other = find_stills(stills, found)
        measured_on |= {"stills": other.location, "stills_fingerprint": other.fingerprint}
    settings = settings.model_copy(update=measured_on)
    _run(out, found, loaded, settings)


def resume(
    directory: result.Study,
    trials: Annotated[int | None, typer.Option(min=1, help="New number of trials, to make the study longer.")] = None,
    stop: Stop = None,
) -> None:
    """Go on with a study that was stopped; nothing finished is lost. Stop rules hold unless others are given."""
    from anon_tune.study import load_study

    space, settings = load_study(directory)
    clips = find_clips(settings.clips, directory)
    now: dict[str, Any] = {"clips_fingerprint": clips.fingerprint}
    if settings.stills:
        now["stills_fingerprint"] = find_stills(settings.stills, clips).fingerprint
    if trials is not None:
        now["num_trials"] = trials
    now["stop"] = space.stop_rules(_named("--stop", stop), settings.stop)
    _run(directory, clips, space, settings.model_copy(update=now))


def planned(options: Mapping[str, Any]) -> tuple[SearchSpace, StudySettings]:
    """Check what can be checked of a study without its clips.

    Args:
        options: Those of `study`, by the names of its parameters.

    Returns:
        The search space, and the settings without the fingerprints of clips and stills.
    """
    from anon_tune.search import SearchSpace
    from anon_tune.study import StudySettings

    loaded = SearchSpace.load(options["space"], dict(parse_setting(text) for text in options["set_"] or ()))
    loaded = loaded.with_constraints(_named("--constraint", options["constraint"]))
    given = {"num_trials": options["trials"], "sampler": options["sampler"]}
    defaults = {name: getattr(loaded.study, name) for name in given if getattr(loaded.study, name) is not None}
    chosen = defaults | {name: value for name, value in given.items() if value is not None}
    warm_start = options["warm_start"]
    settings = StudySettings(
        **chosen,
        clips=options["clips"],
        stills=options["stills"] or "",
        seed=options["seed"],
        rungs=options["rungs"],
        storage=options["storage"],
        tensorboard=options["tensorboard"],
        mlflow=options["mlflow"],
        wandb=options["wandb"],
        workers_per_trial=options["workers"],
        cpus_per_worker=options["cpus"],
        gpus_per_worker=options["gpus"],
        max_concurrent=options["max_concurrent"],
        scale_to=options["scale_to"],
        max_failures=options["max_failures"],
        job_limit_s=options["job_limit"],
        stop=loaded.stop_rules(_named("--stop", options["stop"])),
        warm_start=None if warm_start is None else warm_start.location,
    )
    return loaded, settings


def _named(option: str, texts: list[str] | None) -> dict[str, Any]:
    return dict(parse_setting(text, option) for text in texts or ())


def parse_setting(text: str, option: str = "--set") -> tuple[str, Any]:
    """Parse ``name=value``; the value is read as TOML where it is TOML, else taken as a string."""
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        example = {"--set": "penalty.weight=2", "--stop": "seconds=3600"}.get(option, "leakage_at_most=0.8")
        raise UsageError(option, "must be name=value", text, f"Write for example {option} {example}")
    try:
        return name.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name.strip(), value.strip()


def find_clips(name: str, out: Folder) -> Clips:
    """Open the clips of a study; the built-in ones are made inside the study directory."""
    from anon_tune.clips import open_clips

    location = _built_in(out) if name == BUILT_IN else _absolute(name)
    clips = open_clips(location)
    for split in ("train", "val", "test"):
        clips.split(split)  # an empty one is said now, not by the first trial
    if len(clips.actions) < 2 or not clips.attributes:
        got = f"{len(clips.actions)} and {len(clips.attributes)}"
        remedy = "Import clips that have both, such as vp-ucf101"
        rule = "at least two actions and one private attribute are needed, as both are measured on these clips"
        raise DataError(location, rule, got, remedy)
    return clips


def _absolute(name: str) -> str:
    return name if is_uri(name) else str(Path(name).resolve())


def _built_in(out: Folder) -> str:
    """Make the built-in clips where a study is, unless they are there."""
    from anon_tune.clips import make_avatars
    from anon_tune.clips.node_cache import save_store

    home = StudyDirectory.at(out).clips
    if not home.names():
        if home.is_remote:
            with tempfile.TemporaryDirectory(prefix="anon-tune-") as scratch:
                save_store(make_avatars(Path(scratch) / "clips").directory, home.location)
        else:
            make_avatars(home.path)
    return home.location


def find_stills(name: str, clips: Clips) -> Clips:
    """Open the stills that privacy branches learn on beside the clips of a study."""
    from anon_tune.clips import check_stills, open_clips

    stills = open_clips(_absolute(name))
    check_stills(stills, clips)
    return stills


def make_body(clips: Clips, settings: StudySettings) -> TrialBody:
    """Return what does the work of a study's trials."""
    from anon_tune.worker import ClipTrialBody

    cpus = max(1, int(settings.cpus_per_worker))
    return ClipTrialBody(
        clips.location, settings.workers_per_trial, cpus, settings.gpus_per_worker, stills=settings.stills
    )


def _run(out: Folder, clips: Clips, space: SearchSpace, settings: StudySettings) -> None:
    from anon_tune.cli.study_progress import StudyProgress
    from anon_tune.driver import StudyInterrupted, run_study
    from anon_tune.search.points import num_points

    if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ and not out.is_remote and out.path.is_relative_to(Path.cwd()):
        print(f"warning: {out} lies in the job's copy of the folder, which Ray throws away.", file=sys.stderr)
    if settings.stills:
        print(
            f"warning: privacy branches learn on {settings.stills}. Leakage and accuracy are both measured on "
            f"{clips.location}, since numbers of two domains say nothing of each other.",
            file=sys.stderr,
        )
    body = make_body(clips, settings)
    try:
        total = num_points(space, settings.sampler, settings.num_trials, settings.seed)
        with StudyProgress(total) as progress:
            run_study(out, space, body, settings, progress.show, lambda reason: print(f"Stopped: {reason}."))
    except StudyInterrupted as stop:
        print(stop, file=sys.stderr)
        raise typer.Exit(130) from None
    if settings.storage or not out.is_remote:
        from anon_tune.trackers.optuna_storage import dashboard_command

        print(
            f"Trials in Optuna's dashboard, a package of its own: {dashboard_command(StudyDirectory.at(out), settings)}"
        )
    print(f"Report: {result.write(out)}")
