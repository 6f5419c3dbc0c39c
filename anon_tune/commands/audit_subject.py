"""The subject of an audit (a trial, a method, an anonymizer file or two folders) and the clips it is audited on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anon_tune
from anon_tune.clips.built_in import BUILT_IN
from anon_tune.commands.audit_options import AuditOptions
from anon_tune.commands.results import read_trials
from anon_tune.commands.study_clips import find_clips
from anon_tune.commands.watch import ImportWatch
from anon_tune.errors import StudyError, suggest
from anon_tune.folder import File, Folder

if TYPE_CHECKING:
    from anon_tune.certificate import Subject
    from anon_tune.clips import Clips
    from anon_tune.networks import Anonymizer
    from anon_tune.recipe import Recipe


@dataclass(frozen=True)
class Case:
    """What is audited, on which clips.

    Attributes:
        subject: Description for the certificate.
        anonymized: The anonymizer, or a store of clips that are already anonymized.
        clips: The raw clips.
        clips_name: The name by which the user gave the clips.
        cache: Default folder for baselines.
        kept: File in the study that also receives the certificate; None if the subject is not a trial.
        recipe: The recipe of the anonymizer; None for clips that another tool anonymized.
    """

    subject: Subject
    anonymized: Anonymizer | Clips
    clips: Clips
    clips_name: str
    cache: Path
    kept: File | None = None
    recipe: Recipe | None = None


def find_case(options: AuditOptions, scratch: Path, watch: ImportWatch) -> Case:
    """Find the subject of an audit. `check_options` must have accepted the options.

    Args:
        options: The options of the audit.
        scratch: Directory that folders are imported into; must exist for as long as the case is used.
        watch: Receives the progress of importing folders, and the files that cannot be decoded.

    Raises:
        AnonTuneError: The subject does not exist, or its clips cannot be used.
    """
    if options.trial is not None and options.study is not None:
        return _trial_case(options.study, options.trial)
    if options.original is not None and options.anonymized is not None:
        return _folder_case(options.original, options.anonymized, options, scratch, watch)
    from anon_tune.export import load_file, load_method
    from anon_tune.methods.clip_needs import check_clip_needs

    loaded = load_method(options.method) if options.method is not None else load_file(Path(str(options.file)))
    opened, beside = _open(str(options.clips), options.cache)
    check_clip_needs(loaded.recipe, opened, "--method" if options.method is not None else "--file")
    return Case(loaded.subject, loaded.anonymizer, opened, str(options.clips), beside, recipe=loaded.recipe)


def _trial_case(folder: Folder, name: str) -> Case:
    """Take a trial of a study, on the study's clips."""
    from anon_tune.export import load_trial
    from anon_tune.study import read_study
    from anon_tune.study_directory import StudyDirectory

    study = StudyDirectory.at(folder)

    trials = {trial.id: trial for trial in read_trials(study)}
    if name not in trials:
        raise StudyError(str(study), f"no trial '{name}'", remedy=suggest(name, trials))
    trial = trials[name]
    _, settings = read_study(study)
    clips = find_clips(settings.clips, folder)
    if clips.fingerprint != settings.clips_fingerprint:
        rule = f"must hold the clips of the study, {settings.clips_fingerprint}"
        raise StudyError(clips.location, rule, clips.fingerprint, "Restore them, or audit an export with --file")
    loaded, kept = load_trial(study, trial), study.certificate(name)
    is_inside = settings.clips in BUILT_IN and not kept.folder.is_remote
    beside = kept.folder.path if is_inside else _beside(clips)
    return Case(loaded.subject, loaded.anonymizer, clips, settings.clips, beside, kept, loaded.recipe)


def _folder_case(original: Path, anonymized: Path, options: AuditOptions, scratch: Path, watch: ImportWatch) -> Case:
    """Import two folders side by side into `scratch`."""
    from anon_tune.certificate import Subject
    from anon_tune.clips.node_cache import user_cache
    from anon_tune.datasets import import_pair
    from anon_tune.datasets.decode import ClipForm
    from anon_tune.datasets.side_by_side import in_processes

    height, width = options.size or (112, 112)
    pair = import_pair(
        original,
        anonymized,
        str(options.pattern),
        str(options.action),
        options.private,
        str(options.group),
        options.test_groups,
        ClipForm(options.num_frames or 16, height, width, accept_damage=options.accept_damage),
        scratch,
        suffix=options.anonymized_suffix or "",
        val_groups=options.val_groups,
        val_fraction=0.15 if options.val_fraction is None else options.val_fraction,
        skip_bad=options.skip_bad,
        progress=watch.show,
        decode_with=in_processes(),
    )
    watch.damaged(pair.damaged)
    watch.end(pair.bad)
    subject = Subject(kind="folder", name=str(anonymized), method="unknown", fingerprint="")
    return Case(subject, pair.anonymized, pair.original, str(original), user_cache())


def _open(clips: str, cache: Path | None) -> tuple[Clips, Path]:
    """Open clips by their name; return them and the default folder of their baselines."""
    from anon_tune.clips.node_cache import user_cache

    if clips in BUILT_IN:
        home = cache or user_cache()
        return find_clips(clips, Folder.at(home / f"{clips}-{anon_tune.__version__}-keypoints")), home
    opened = find_clips(clips, Folder.at("."))
    return opened, _beside(opened)


def _beside(clips: Clips) -> Path:
    return clips.directory.with_name(f"{clips.directory.name}.audit")
