"""The options of ``anon-tune study``, as typer reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from anon_tune.folder import Folder

Space = Annotated[
    Path,
    typer.Argument(
        metavar="SPACE.toml|NAME", help="Search space: a file, or the name of one that we ship, such as quickstart."
    ),
]
Clips = Annotated[
    str, typer.Option(metavar="avatars|DIR|URI", help="Built-in clips, or a clip store, as s3://bucket/store.")
]
Out = Annotated[
    Folder,
    typer.Option(
        metavar="DIR|URI",
        parser=Folder.at,
        help="Study directory, also as s3://bucket/study; one that holds this study is continued.",
    ),
]
Stills = Annotated[
    str | None,
    typer.Option(
        metavar="DIR|URI",
        help="A second clip store, such as of vispr: the privacy branch learns on its training stills instead. "
        "Measured is on --clips alone.",
    ),
]
Trials = Annotated[int | None, typer.Option(min=1, help="Trials, anchors not counted; else the space's.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Fix a recipe value, as in training.seed=1.")
]
Seed = Annotated[int, typer.Option(min=0, help="Of the sampler.")]
Sampler = Annotated[
    Literal["auto", "gp", "tpe", "nsga2", "random", "qmc", "grid"] | None, typer.Option(help="Else the space's.")
]
Rungs = Annotated[bool, typer.Option(help="Stop hopeless trials early.")]
Constraint = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="leakage_at_most, accuracy_at_least or seconds_per_frame_at_most. May be repeated.",
    ),
]
WarmStart = Annotated[
    Folder | None,
    typer.Option(
        metavar="DIR|URI", parser=Folder.at, help="An earlier study on these clips that the sampler learns from."
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Optuna storage without a password; else a journal file in the study."),
]
Tensorboard = Annotated[bool, typer.Option(help="Write event files to DIR/tensorboard.")]
Mlflow = Annotated[str | None, typer.Option(metavar="URI", help="Tell an MLflow server or folder too.")]
Wandb = Annotated[str | None, typer.Option(metavar="PROJECT", help="Tell Weights & Biases too.")]
Workers = Annotated[int, typer.Option(min=1, help="Workers that train one anonymizer together.")]
Cpus = Annotated[int, typer.Option(min=1, help="CPUs of a worker.")]
Gpus = Annotated[float, typer.Option(min=0, help="GPUs of a worker; may be a fraction.")]
MaxConcurrent = Annotated[int | None, typer.Option(min=1, help="Trials at a time; else what fits.")]
ScaleTo = Annotated[
    int | None,
    typer.Option(min=1, help="Trials for which an autoscaler is to start nodes; else as many as fit what is there."),
]
MaxFailures = Annotated[int, typer.Option(min=0, help="Retries of a trial whose worker died or hung.")]
JobLimit = Annotated[
    float | None,
    typer.Option(min=0.1, metavar="SECONDS", help="Longer to the next rung means hung: tried again."),
]
Stop = Annotated[
    list[str] | None,
    typer.Option(
        "--stop",
        metavar="NAME=VALUE",
        help="End early: seconds, gpu_hours, money, stall_trials (begun since hypervolume grew). May be repeated.",
    ),
]
Package = Annotated[
    list[Path] | None,
    typer.Option(
        "--package",
        metavar="DIR|WHEEL",
        help="A Python package that driver and workers are given, for methods of its own. May be repeated.",
    ),
]
MoreTrials = Annotated[
    int | None, typer.Option("--trials", min=1, help="New number of trials, to make the study longer.")
]
