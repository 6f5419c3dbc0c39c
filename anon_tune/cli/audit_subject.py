"""What an audit is of: a trial, a method, an anonymizer file, or two folders; and on which clips."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anon_tune
from anon_tune.cli.clips import parse_size
from anon_tune.cli.result import read_trials
from anon_tune.cli.study import BUILT_IN, find_clips
from anon_tune.errors import StudyError, UsageError, suggest
from anon_tune.folder import File, Folder

if TYPE_CHECKING:
    from anon_tune.certificate import Subject
    from anon_tune.clips import Clips
    from anon_tune.networks import Anonymizer

_FOLDER_NEEDS = ("--anonymized", "--pattern", "--action", "--private", "--group", "--test-groups")
_NEEDS = {
    "--trial": ("STUDY",),
    "--method": ("--clips",),
    "--file": ("--clips",),
    "--original": _FOLDER_NEEDS,
}
_REMEDY = "See 'anon-tune audit --help'"


@dataclass(frozen=True)
class Case:
    """What is audited, on which clips.

    Attributes:
        subject: For the certificate.
        anonymized: What anonymizes the clips, or a store of clips that are already anonymized.
        clips: The raw clips.
        clips_name: As a user names them.
        cache: Where baselines are kept unless the user says otherwise.
        kept: Where the certificate is kept besides --output; None for nowhere.
    """

    subject: Subject
    anonymized: Anonymizer | Clips
    clips: Clips
    clips_name: str
    cache: Path
    kept: File | None = None


def check_options(subjects: Mapping[str, object], others: Mapping[str, object]) -> None:
    """Refuse anything but one subject with just the options that go with it.

    Args:
        subjects: ``--trial``, ``--method``, ``--file`` and ``--original`` with their values, None if not given.
        others: Every option that goes with some subject only, in the same way.
    """
    chosen = [name for name, value in subjects.items() if value is not None]
    if len(chosen) != 1:
        rule = "give exactly one of STUDY --trial, --method, --file, and --original with --anonymized"
        raise UsageError("audit", rule, " and ".join(chosen) or "none", _REMEDY)
    (subject,) = chosen
    given = [name for name, value in others.items() if value is not None]
    if missing := [name for name in _NEEDS[subject] if name not in given]:
        raise UsageError("audit", f"{subject} needs {', '.join(missing)}", remedy=_REMEDY)
    belongs = {*others} - {"STUDY", "--clips"} if subject == "--original" else {*_NEEDS[subject]}
    if foreign := [name for name in given if name not in belongs]:
        raise UsageError("audit", f"{', '.join(foreign)} cannot go with {subject}", remedy=_REMEDY)


def find_case(
    study: Folder | None,
    subjects: Mapping[str, Any],
    clips: str | None,
    folders: Mapping[str, Any],
    cache: Path | None,
    scratch: Path,
) -> Case:
    """Find what is audited; `check_options` has found the options in order.

    Args:
        study: Of ``--trial``.
        subjects: As for `check_options`.
        clips: Of ``--method`` and ``--file``.
        folders: The options that go with ``--original``.
        cache: Of ``--cache``.
        scratch: Where folders are imported; must outlive the case.

    Raises:
        AnonTuneError: There is no such subject, or its clips cannot be used.
    """
    trial, method, file, original = (subjects[name] for name in ("--trial", "--method", "--file", "--original"))
    if trial is not None and study is not None:
        return _trial_case(study, trial)
    if original is not None:
        return _folder_case(original, folders, scratch)
    from anon_tune.export import load_file, load_method

    loaded = load_method(method) if method is not None else load_file(file)
    opened, beside = _open(str(clips), cache)
    return Case(loaded.subject, loaded.anonymizer, opened, str(clips), beside)


def _trial_case(folder: Folder, name: str) -> Case:
    """Take a trial of a study, on the study's clips."""
    from anon_tune.export import load_trial
    from anon_tune.study import load_study
    from anon_tune.study_directory import StudyDirectory

    study = StudyDirectory.at(folder)

    trials = {trial.id: trial for trial in read_trials(study)}
    if name not in trials:
        raise StudyError(str(study), f"no trial '{name}'", remedy=suggest(name, trials))
    trial = trials[name]
    _, settings = load_study(study)
    clips = find_clips(settings.clips, folder)
    if clips.fingerprint != settings.clips_fingerprint:
        rule = f"must hold the clips of the study, {settings.clips_fingerprint}"
        raise StudyError(clips.location, rule, clips.fingerprint, "Put them back, or audit an export with --file")
    loaded, kept = load_trial(study, trial), study.certificate(name)
    beside = kept.folder.path if settings.clips == BUILT_IN and not kept.folder.is_remote else _beside(clips)
    return Case(loaded.subject, loaded.anonymizer, clips, settings.clips, beside, kept)


def _folder_case(original: Path, options: Mapping[str, Any], scratch: Path) -> Case:
    """Import two folders side by side into `scratch`."""
    from rich.console import Console
    from rich.progress import Progress

    from anon_tune.certificate import Subject
    from anon_tune.clips.node_cache import user_cache
    from anon_tune.datasets import import_pair
    from anon_tune.datasets.side_by_side import in_processes

    anonymized: Path = options["--anonymized"]
    height, width = parse_size(options["--size"] or "112x112")
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Importing", total=None)
        pair = import_pair(
            original,
            anonymized,
            options["--pattern"],
            options["--action"],
            options["--private"],
            options["--group"],
            options["--test-groups"],
            options["--num-frames"] or 16,
            height,
            width,
            scratch,
            suffix=options["--anonymized-suffix"] or "",
            val_groups=options["--val-groups"] or (),
            val_fraction=0.15 if options["--val-fraction"] is None else options["--val-fraction"],
            skip_bad=bool(options["--skip-bad"]),
            progress=lambda done, total: bar.update(task, completed=done, total=total),
            decode_with=in_processes(),
        )
    for bad in pair.bad:
        print(f"{bad.file}: cannot be decoded at frame {bad.frame}, got {bad.reason}.", file=sys.stderr)
    subject = Subject(kind="folder", name=str(anonymized), method="unknown", fingerprint="")
    return Case(subject, pair.anonymized, pair.original, str(original), user_cache())


def _open(clips: str, cache: Path | None) -> tuple[Clips, Path]:
    """Open clips by their name; return them and where their baselines are kept by default."""
    from anon_tune.clips.node_cache import user_cache

    if clips == BUILT_IN:
        home = cache or user_cache()
        return find_clips(clips, Folder.at(home / f"{BUILT_IN}-{anon_tune.__version__}")), home
    opened = find_clips(clips, Folder.at("."))
    return opened, _beside(opened)


def _beside(clips: Clips) -> Path:
    return clips.directory.with_name(f"{clips.directory.name}.audit")
