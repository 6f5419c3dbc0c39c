"""Run a study: start a new one, or continue one that was stopped."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anon_tune.accounting import NumberLaw
from anon_tune.clips.built_in import BUILT_IN
from anon_tune.commands.opened_study import Study
from anon_tune.commands.study_clips import check_recipes, find_clips, find_stills
from anon_tune.commands.study_privacy import check_longer, privacy_settings
from anon_tune.driver.packages import bring_packages
from anon_tune.errors import UsageError
from anon_tune.folder import Folder, Location
from anon_tune.study_directory import StudyDirectory

if TYPE_CHECKING:
    from anon_tune.clips import Clips
    from anon_tune.search import SearchSpace
    from anon_tune.search.callers_sampler import CallersSampler
    from anon_tune.study import StudySettings
    from anon_tune.trial import Trial, TrialBody


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOptions:
    """The options of ``anon-tune study``.

    Attributes:
        space: Search space: a file, or the name of one that we ship.
        clips: ``avatars`` or ``avatars-anomaly`` for built-in clips, or a clip store.
        out: Study directory, a path or a URI; if it already holds this study, the study is continued.
        stills: A second clip store: privacy branches learn on its training stills instead of on the clips.
        trials: Number of trials, anchors not counted; None for the search space's number.
        draw_trials: Law by which the number of trials is drawn instead, such as ``geometric:8``; None for none.
        set: Fixed recipe values by name, such as ``{"training.seed": 1}``.
        seed: Seed of the sampler, at least 0.
        sampler: A name as in `StudySettings`, an Optuna sampler, or None for the search space's sampler.
        rungs: Stop unpromising trials early.
        constraint: Limits by name: leakage_at_most, accuracy_at_least, seconds_per_frame_at_most, epsilon_at_most.
        stop: Limits at which the study ends early, by name: seconds, gpu_hours, money, stall_trials.
        warm_start: An earlier study on the same clips, for the sampler to learn from.
        storage: URL of an Optuna storage, without a password; None for a journal file in the study directory.
        tensorboard: Write event files to DIR/tensorboard.
        mlflow: URI of an MLflow server or folder to log trials to as well.
        wandb: Project of Weights & Biases to log trials to as well.
        workers: Number of workers that train one anonymizer together.
        cpus: CPUs per worker.
        gpus: GPUs per worker; may be a fraction.
        max_concurrent: Maximum number of trials that run at a time; None for as many as fit.
        scale_to: Number of trials to keep under way; an autoscaler starts nodes for them. None for as many as fit on
            the nodes that are up.
        max_failures: How often a trial is retried after its worker died or hung.
        job_limit: A trial that takes more seconds than this to reach its next rung counts as hung and is retried.
        certify: Verify the best trials and certify the front when the study has ended.
        package: Folders or wheels of Python packages to install for the driver and the workers.
        allow_external: Run the programs that methods ``external:COMMAND`` name.
    """

    space: str | Path
    clips: str | Path
    out: Location
    stills: str | Path | None = None
    trials: int | None = None
    draw_trials: str | None = None
    set: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    sampler: str | CallersSampler | None = None
    rungs: bool = True
    constraint: Mapping[str, Any] = field(default_factory=dict)
    stop: Mapping[str, Any] = field(default_factory=dict)
    warm_start: Location | None = None
    storage: str | None = None
    tensorboard: bool = True
    mlflow: str | None = None
    wandb: str | None = None
    workers: int = 1
    cpus: int = 1
    gpus: float = 0.0
    max_concurrent: int | None = None
    scale_to: int | None = None
    max_failures: int = 2
    job_limit: float | None = None
    certify: bool = False
    package: Sequence[str | Path] = ()
    allow_external: bool = False


@dataclass(frozen=True, slots=True)
class ReadyStudy:
    """A study that was checked and can be run.

    Attributes:
        folder: The study directory.
        clips: The clips that trials are trained and measured on.
        space: The search space.
        settings: The settings of the run.
        sampler: The caller's own Optuna sampler; None for a built-in one.
        allow_external: Run the programs that methods name.
    """

    folder: Folder
    clips: Clips
    space: SearchSpace
    settings: StudySettings
    sampler: CallersSampler | None = None
    allow_external: bool = False

    @property
    def cautions(self) -> tuple[str, ...]:
        """Warnings for the user before the study starts, one or two sentences each."""
        from anon_tune.search.choices import why_rungs_cannot_decide

        said = []
        in_job = "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ
        if in_job and not self.folder.is_remote and self.folder.path.is_relative_to(Path.cwd()):
            said.append(f"{self.folder} is in the job's copy of the working folder, which Ray deletes.")
        if self.settings.stills:
            said.append(
                f"privacy branches learn on {self.settings.stills}. Leakage and accuracy are both measured on "
                f"{self.clips.location}, because numbers from two sets of clips cannot be compared."
            )
        if idle := why_rungs_cannot_decide(self.space, self.num_trials, self.settings.rungs):
            said.append(idle)
        return tuple(said)

    @property
    def num_trials(self) -> int:
        """Number of trials the study will have, anchors not counted. A grid may have fewer points than asked for."""
        from anon_tune.search.points import num_points

        settings = self.settings
        return num_points(self.space, settings.sampler, settings.num_trials, settings.seed)

    def run(
        self,
        on_change: Callable[[Sequence[Trial]], None] | None = None,
        on_stop: Callable[[str], None] | None = None,
    ) -> Study:
        """Run the study until it is complete, or until a signal or a stop rule ends it.

        Args:
            on_change: Called with all trials, anchors first, after every change.
            on_stop: Called with the reason when a stop rule ended the study.

        Raises:
            StudyError: The directory belongs to another study, another process holds it, or an anchor failed.
            PlacementError: A trial needs more than the cluster has.
            StudyInterrupted: A signal stopped the study; all finished work is kept.
        """
        from anon_tune.driver import run_study

        body = make_body(self.folder, self.clips, self.settings, self.allow_external)
        run_study(self.folder, self.space, body, self.settings, on_change, on_stop, self.sampler)
        return Study(self.folder)


def planned(options: StudyOptions) -> tuple[SearchSpace, StudySettings]:
    """Check the options of a study as far as possible without its clips.

    Returns:
        The search space, and the settings without the fingerprints of clips and stills.
    """
    from anon_tune.search import SearchSpace
    from anon_tune.search.shipped import find_space
    from anon_tune.search.space_file import validate
    from anon_tune.study import StudySettings

    if options.draw_trials is not None and options.trials is not None:
        raise UsageError("--trials", "cannot be given with --draw-trials", options.trials, "Leave one of them out")
    loaded = SearchSpace.load(find_space(options.space), options.set).with_constraints(options.constraint)
    named, _, of_caller = _sampler(options.sampler, loaded)
    given = {"num_trials": options.trials, "sampler": named}
    defaults = {name: getattr(loaded.study, name) for name in given if getattr(loaded.study, name) is not None}
    chosen = defaults | {name: value for name, value in given.items() if value is not None}
    settings = {
        **chosen,
        "clips": str(options.clips),
        "stills": str(options.stills or ""),
        "drawn": "" if options.draw_trials is None else str(NumberLaw.parse(options.draw_trials)),
        "seed": options.seed,
        "sampler_class": of_caller,
        "rungs": options.rungs,
        "storage": options.storage,
        "tensorboard": options.tensorboard,
        "mlflow": options.mlflow,
        "wandb": options.wandb,
        "workers_per_trial": options.workers,
        "cpus_per_worker": options.cpus,
        "gpus_per_worker": options.gpus,
        "max_concurrent": options.max_concurrent,
        "scale_to": options.scale_to,
        "max_failures": options.max_failures,
        "job_limit_s": options.job_limit,
        "stop": loaded.stop_rules(options.stop),
        "warm_start": None if options.warm_start is None else Folder.at(options.warm_start).location,
    }
    return loaded, validate(StudySettings, settings, "study")


def prepare_study(options: StudyOptions) -> ReadyStudy:
    """Check a study and open its clips.

    Raises:
        AnonTuneError: An option cannot be used.
    """
    from anon_tune.driver.node_check import check_here
    from anon_tune.search.by_clips import for_clips
    from anon_tune.study import read_study

    bring_packages(options.package)
    space, settings = planned(options)
    out = Folder.at(options.out)
    if not out.is_remote and out.path.is_file():
        raise UsageError("--out", "must be a directory, not a file", str(out), "Give another directory")
    check_here(space)
    check_external(space, options.allow_external)
    clips = find_clips(settings.clips, out)
    measured_on: dict[str, Any] = {"clips_fingerprint": clips.fingerprint}
    if settings.clips not in BUILT_IN:
        measured_on["clips"] = clips.location
    stills = find_stills(settings.stills, clips) if settings.stills else None
    if stills is not None:
        measured_on |= {"stills": stills.location, "stills_fingerprint": stills.fingerprint}
    study = StudyDirectory.at(out)
    begun = read_study(study)[0].fixed if study.frozen.exists() else None
    space = for_clips(space, len(clips.split("train")), *clips.shape[1:3], begun)
    check_recipes(space, clips, stills)
    measured_on |= privacy_settings(space, settings, clips, study)
    _, sampler, _ = _sampler(options.sampler, space)
    return ReadyStudy(out, clips, space, settings.model_copy(update=measured_on), sampler, options.allow_external)


def prepare_resume(
    directory: Location,
    trials: int | None = None,
    stop: Mapping[str, Any] | None = None,
    sampler: CallersSampler | None = None,
    package: Sequence[str | Path] = (),
    allow_external: bool = False,
) -> ReadyStudy:
    """Check that a study can be continued.

    Args:
        directory: A study directory.
        trials: New total number of trials, at least 1, to make the study longer.
        stop: Stop rules that replace the current ones.
        sampler: An Optuna sampler of the class that the study was started with; None if that was a built-in one.
        package: Folders or wheels of Python packages to install for the driver and the workers.
        allow_external: Run the programs that methods name.

    Raises:
        AnonTuneError: There is no study, or it cannot be continued here.
    """
    from anon_tune.driver.node_check import check_here
    from anon_tune.search.space_file import validate
    from anon_tune.study import StudySettings, load_study

    bring_packages(package)
    folder = Folder.at(directory)
    space, settings = load_study(folder)
    check_here(space)
    check_external(space, allow_external)
    clips = find_clips(settings.clips, folder)
    _, own, of_caller = _sampler(sampler, space)
    now: dict[str, Any] = {"clips_fingerprint": clips.fingerprint, "sampler_class": of_caller}
    if settings.stills:
        now["stills_fingerprint"] = find_stills(settings.stills, clips).fingerprint
    if trials is not None:
        check_longer(settings)
        now["num_trials"] = trials
    now["stop"] = space.stop_rules(stop or {}, settings.stop)
    settings = validate(StudySettings, settings.model_dump() | now, "resume")
    privacy_settings(space, settings, clips, StudyDirectory.at(folder))  # more trials may void what is promised
    return ReadyStudy(folder, clips, space, settings, own, allow_external)


def check_external(space: SearchSpace, allowed: bool) -> None:
    """Refuse a study whose methods run programs, unless this is allowed; see `check_programs`."""
    from anon_tune.driver.session import joins_cluster
    from anon_tune.methods.external.permission import check_programs
    from anon_tune.search.method_use import methods_of

    check_programs(methods_of(space.search, space.fixed), allowed, here=not joins_cluster())


def make_body(folder: Folder, clips: Clips, settings: StudySettings, allow_external: bool = False) -> TrialBody:
    """Return the trial body, which trains and measures the study's trials."""
    from anon_tune.worker import ClipTrialBody

    cpus = max(1, int(settings.cpus_per_worker))
    return ClipTrialBody(
        clips.location,
        settings.workers_per_trial,
        cpus,
        settings.gpus_per_worker,
        stills=settings.stills,
        baselines=StudyDirectory.at(folder).baselines.location,
        allow_external=allow_external,
    )


def _sampler(given: str | CallersSampler | None, space: SearchSpace) -> tuple[str | None, CallersSampler | None, str]:
    """Split a sampler argument into a built-in name, the caller's own sampler (tried on a copy) and its class name."""
    if given is None or isinstance(given, str):
        return given, None, ""
    from anon_tune.search.callers_sampler import check_sampler, class_name

    return None, check_sampler(given, space), class_name(given)
