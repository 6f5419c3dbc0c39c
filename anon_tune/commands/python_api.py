"""The commands as Python functions, for notebooks and programs. They are exported by `anon_tune`.

Their arguments have the names, defaults and meanings of the command-line options. Importing this module loads neither
torch nor Ray.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from anon_tune.commands.anonymize import AnonymizeOptions, AnonymizeWatch, run_anonymize
from anon_tune.commands.audit_options import AuditOptions
from anon_tune.commands.opened_study import Study
from anon_tune.commands.results import check_outcome
from anon_tune.commands.study import StudyOptions, prepare_study
from anon_tune.commands.watch import AuditWatch
from anon_tune.folder import Folder, Location

if TYPE_CHECKING:
    from anon_tune.certificate import Certificate
    from anon_tune.search.callers_sampler import CallersSampler
    from anon_tune.trial import Trial


def run_study(
    space: str | Path,
    *,
    clips: str | Path,
    out: Location,
    stills: str | Path | None = None,
    trials: int | None = None,
    draw_trials: str | None = None,
    set: Mapping[str, Any] | None = None,
    seed: int = 0,
    sampler: str | CallersSampler | None = None,
    rungs: bool = True,
    constraint: Mapping[str, float] | None = None,
    stop: Mapping[str, float] | None = None,
    warm_start: Location | None = None,
    storage: str | None = None,
    tensorboard: bool = True,
    mlflow: str | None = None,
    wandb: str | None = None,
    workers: int = 1,
    cpus: int = 1,
    gpus: float = 0.0,
    max_concurrent: int | None = None,
    scale_to: int | None = None,
    max_failures: int = 2,
    job_limit: float | None = None,
    certify: bool = False,
    packages: Sequence[str | Path] = (),
    allow_external: bool = False,
    on_change: Callable[[Sequence[Trial]], None] | None = None,
) -> Study:
    """Run a study, like ``anon-tune study``. If the directory already holds this study, the study is continued.

    `StudyOptions` explains the arguments that are not listed here.

    Args:
        space: Search space: a file, or the name of one that we ship, such as ``quickstart``.
        clips: ``avatars`` or ``avatars-anomaly`` for built-in clips, or a clip store.
        out: Study directory, a path or a URI.
        sampler: A sampler's name, or an instance of ``optuna.samplers.BaseSampler``. To resume such a study, pass an
            instance of the same class again.
        on_change: Called with all trials, anchors first, after every change.

    Returns:
        The study, with its report written.

    Raises:
        AnonTuneError: An argument cannot be used.
        StudyError: Every trial failed.
        StudyInterrupted: A signal stopped the study; all finished work is kept.
    """
    given = {name: value for name, value in locals().items() if name not in ("on_change", "packages")}
    named = {name: {} if given[name] is None else given[name] for name in ("set", "constraint", "stop")}
    ready = prepare_study(StudyOptions(**given | named, package=packages))
    for caution in ready.cautions:
        warnings.warn(caution, stacklevel=2)
    return _ended(ready.run(on_change), certify, allow_external)


def audit(
    study: Location | None = None,
    *,
    trial: str | None = None,
    method: str | None = None,
    file: str | Path | None = None,
    clips: str | Path | None = None,
    original: str | Path | None = None,
    anonymized: str | Path | None = None,
    anonymized_suffix: str | None = None,
    pattern: str | None = None,
    action: str | None = None,
    private: Sequence[str] = (),
    group: str | None = None,
    test_groups: Sequence[str] = (),
    val_groups: Sequence[str] = (),
    val_fraction: float | None = None,
    num_frames: int | None = None,
    size: tuple[int, int] | None = None,
    accept_damage: bool = False,
    skip_bad: bool = False,
    output: str | Path | None = None,
    seeds: int | None = None,
    codec: Literal["h264"] | None = None,
    crf: int | None = None,
    set: Mapping[str, Any] | None = None,
    cache: str | Path | None = None,
    device: str = "auto",
    allow_external: bool = False,
    on_step: Callable[[str, int, int], None] | None = None,
) -> Certificate:
    """Measure what attackers can still infer from anonymized clips, like ``anon-tune audit``.

    `AuditOptions` explains the arguments that are not listed here.

    Args:
        study: Study directory of `trial`.
        size: Height and width of a frame in pixels.
        on_step: Called with the current task, its steps done and its total steps.

    Returns:
        The certificate. It is also written to `output` if that is given. The certificate of a trial is also written
        to the study's ``audits``.

    Raises:
        UsageError: Options that do not go together, or a value in `set` that `AuditRecipe` does not allow.
        DataError: Clips cannot be used, or there are too few for a measurement.
        StudyError: There is no such trial, or it has no weights.
    """
    given = {name: value for name, value in locals().items() if name != "on_step"}
    paths = {name: _path(given[name]) for name in ("file", "original", "anonymized", "output", "cache")}
    lists = {name: tuple(given[name]) for name in ("private", "test_groups", "val_groups")}
    rest = {"study": _folder(study), "clips": None if clips is None else str(clips), "set": set or {}}
    from anon_tune.commands.audit import run_audit

    return run_audit(AuditOptions(**given | paths | lists | rest), _StepWatch(on_step))


def anonymize(
    inputs: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    file: str | Path | None = None,
    study: Location | None = None,
    trial: str | None = None,
    leakage_at_most: float | None = None,
    method: str | None = None,
    certificate: str | Path | None = None,
    scale: bool = False,
    preview: bool = False,
    drop_audio: bool = False,
    encode_audio: bool = False,
    accept_damage: bool = False,
    ending: str | None = None,
    crf: int = 20,
    chunk: int | None = None,
    keypoints: str | Path | None = None,
    device: str = "auto",
    force: bool = False,
    allow_external: bool = False,
) -> list[Path]:
    """Anonymize videos, like ``anon-tune anonymize``. Size, frames, timestamps and audio stay the same.

    `AnonymizeOptions` explains the arguments that are not listed here.

    Args:
        inputs: A video, a folder of videos, or several of them.
        output: Output file for one video, or output folder.

    Returns:
        The videos that were written. The report of ``out.mp4`` is beside it, as ``out.mp4.json``.

    Raises:
        UsageError: Options that do not go together, or no video.
        ExportError: A video could not be anonymized. The others are done.
    """
    given = dict(locals())
    paths = {name: _path(given[name]) for name in ("output", "file", "certificate", "keypoints")}
    sources = [inputs] if isinstance(inputs, str | Path) else inputs
    rest = {"inputs": [Path(source) for source in sources], "study": _folder(study)}
    return run_anonymize(AnonymizeOptions(**given | paths | rest), AnonymizeWatch())


class _StepWatch(AuditWatch):
    """Passes the progress of an audit on to a function."""

    def __init__(self, on_step: Callable[[str, int, int], None] | None) -> None:
        self._on_step = on_step

    def measured(self, what: str, done: int, total: int) -> None:
        if self._on_step is not None:
            self._on_step(what, done, total)


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given)


def _folder(given: Location | None) -> Folder | None:
    return None if given is None else Folder.at(given)


def _ended(study: Study, certify: bool, allow_external: bool) -> Study:
    study.report()
    if check_outcome(study.directory) is None and certify:
        study.verify(allow_external=allow_external)
        study.certify(allow_external=allow_external)
        study.report()
    return study
