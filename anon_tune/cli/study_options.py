"""The options of ``anon-tune study``, as typer reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from anon_tune.folder import Folder

Space = Annotated[
    Path,
    typer.Argument(
        metavar="SPACE.toml|NAME", help="Search space: a file, or the name of a shipped one, such as quickstart."
    ),
]
Clips = Annotated[
    str,
    typer.Option(metavar="avatars|avatars-anomaly|DIR|URI", help="Built-in clips, or a clip store: a folder or a URI."),
]
Out = Annotated[
    Folder,
    typer.Option(
        metavar="DIR|URI",
        parser=Folder.at,
        help="Study directory: a folder or a URI. If it already holds this study, the study is continued.",
    ),
]
Stills = Annotated[
    str | None,
    typer.Option(
        metavar="DIR|URI",
        help="A second clip store, for example one imported from vispr. The privacy branch then learns on its training "
        "stills. Leakage and accuracy are measured on --clips only.",
    ),
]
Trials = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Number of trials, not counting the anchors. Default: the search space's."),
]
DrawTrials = Annotated[
    str | None,
    typer.Option(
        metavar="LAW:MEAN",
        help="Draw the number of trials at random, so that choosing the best trial costs little privacy. LAW is "
        "logarithmic, negative-binomial, geometric or poisson, and MEAN is the expected number, for example "
        "geometric:8. Needs private training and --sampler random.",
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Fix a recipe value, such as training.seed=1. May be repeated."),
]
Seed = Annotated[int, typer.Option(metavar="N", min=0, help="Seed of the sampler.")]
Sampler = Annotated[
    Literal["auto", "gp", "tpe", "nsga2", "random", "qmc", "grid"] | None,
    typer.Option(
        metavar="NAME",
        help="Sampler that proposes trials: auto, gp, tpe, nsga2, random, qmc or grid. Default: the search space's.",
    ),
]
Rungs = Annotated[bool, typer.Option(help="Stop unpromising trials early.")]
Constraint = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE",
        help="A limit that every trial on the front must keep. 'anon-tune study --help' lists the names. May be "
        "repeated.",
    ),
]
WarmStart = Annotated[
    Folder | None,
    typer.Option(
        metavar="DIR|URI", parser=Folder.at, help="An earlier study on the same clips, for the sampler to learn from."
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Optuna storage; the URL must not contain a password. Default: a journal file in the study directory.",
    ),
]
Tensorboard = Annotated[bool, typer.Option(help="Write TensorBoard event files to DIR/tensorboard.")]
Mlflow = Annotated[str | None, typer.Option(metavar="URI", help="Also log trials to this MLflow server or folder.")]
Wandb = Annotated[
    str | None, typer.Option(metavar="PROJECT", help="Also log trials to this project of Weights & Biases.")
]
Workers = Annotated[int, typer.Option(metavar="N", min=1, help="Number of workers that train one anonymizer together.")]
Cpus = Annotated[int, typer.Option(metavar="N", min=1, help="CPUs per worker.")]
Gpus = Annotated[float, typer.Option(metavar="N", min=0, help="GPUs per worker; may be a fraction.")]
MaxConcurrent = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Maximum number of trials that run at a time. Default: as many as fit."),
]
ScaleTo = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Number of trials to keep under way. An autoscaler starts nodes for those that do not fit. Default: as "
        "many as fit on the running nodes.",
    ),
]
MaxFailures = Annotated[
    int, typer.Option(metavar="N", min=0, help="How often a trial is retried after its worker died or hung.")
]
Certify = Annotated[
    bool,
    typer.Option(
        "--certify",
        help="When the study has ended, run 'anon-tune verify' and 'anon-tune certify' on it. The front is then chosen "
        "by repeated measurements, and its trials are audited.",
    ),
]
JobLimit = Annotated[
    float | None,
    typer.Option(
        min=0.1,
        metavar="SECONDS",
        help="A trial that takes longer than this to reach its next rung counts as hung and is retried.",
    ),
]
Stop = Annotated[
    list[str] | None,
    typer.Option(
        "--stop",
        metavar="NAME=VALUE",
        help="End the study early, at a limit on seconds, gpu_hours, money or stall_trials (trials that ended since "
        "the hypervolume last grew). May be repeated.",
    ),
]
Package = Annotated[
    list[Path] | None,
    typer.Option(
        "--package",
        metavar="DIR|WHEEL",
        help="A Python package to install for the driver and the workers, for example with methods of your own. "
        "May be repeated.",
    ),
]
AllowExternal = Annotated[
    bool,
    typer.Option(
        "--allow-external",
        help="Allow methods 'external:COMMAND' to run their programs. Must be given each time.",
    ),
]
MoreTrials = Annotated[
    int | None,
    typer.Option("--trials", metavar="N", min=1, help="New total number of trials, to make the study longer."),
]
