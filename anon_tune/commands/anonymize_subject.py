"""The anonymizer that videos go through: an exported file, a trial of a study, or a closed-form method."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from anon_tune.clips.built_in import BUILT_IN
from anon_tune.commands.results import pick_trial
from anon_tune.errors import AnonTuneError, UsageError
from anon_tune.folder import Folder
from anon_tune.study_directory import StudyDirectory

if TYPE_CHECKING:
    from anon_tune.certificate import Certificate
    from anon_tune.export import LoadedAnonymizer

_REMEDY = "See 'anon-tune anonymize --help'"


@dataclass(frozen=True)
class Chosen:
    """The chosen anonymizer and what is known about it.

    Attributes:
        loaded: The anonymizer with its recipe and its subject.
        clip_size: Height and width it was trained at, if known.
        clip_frames: Frames of the clips that it was trained on, if known.
        certificate: Its certificate, if one was found.
    """

    loaded: LoadedAnonymizer
    clip_size: tuple[int, int] | None = None
    clip_frames: int | None = None
    certificate: Certificate | None = None


def choose(
    file: Path | None, study: Folder | None, trial: str | None, leakage_at_most: float | None, method: str | None
) -> Chosen:
    """Find the anonymizer that one of ``--file``, ``--study`` and ``--method`` names.

    Raises:
        AnonTuneError: Not exactly one is given, or there is no such anonymizer.
    """
    from anon_tune.export import load_method

    given = [name for name, value in (("--file", file), ("--study", study), ("--method", method)) if value is not None]
    if len(given) != 1:
        got = " and ".join(given) or "none"
        raise UsageError("anonymize", "give exactly one of --file, --study and --method", got, _REMEDY)
    if study is not None:
        if (trial is None) == (leakage_at_most is None):
            raise UsageError("--study", "needs one of --trial and --leakage-at-most", remedy=_REMEDY)
        return _by_study(StudyDirectory.at(study), trial, leakage_at_most)
    if trial is not None or leakage_at_most is not None:
        raise UsageError("anonymize", "--trial and --leakage-at-most go with --study", remedy=_REMEDY)
    return _by_file(file) if file is not None else Chosen(load_method(str(method)))


def _by_file(file: Path) -> Chosen:
    from anon_tune.export import load_file

    loaded = load_file(file)
    data = loaded.card and loaded.card.get("data")
    size, frames = ((data["height"], data["width"]), data["num_frames"]) if data else (None, None)
    return Chosen(loaded, size, frames)


def _by_study(study: StudyDirectory, trial: str | None, leakage_at_most: float | None) -> Chosen:
    from anon_tune.clips import open_clips
    from anon_tune.export import check_usable, load_trial
    from anon_tune.study import read_study
    from anon_tune.study.certified import all_certificates_of

    picked = pick_trial(study, leakage_at_most, trial)
    check_usable(picked)
    loaded = load_trial(study, picked)
    _, settings = read_study(study)
    try:
        location = study.clips.location if settings.clips in BUILT_IN else settings.clips
        num_frames, height, width, _ = open_clips(location).shape
    except AnonTuneError:  # the clips may be missing on this machine
        size, frames = None, None
    else:
        size, frames = (height, width), num_frames
    return Chosen(loaded, size, frames, all_certificates_of(study, [picked]).get(picked.id))


def certified(chosen: Chosen, file: Path | None) -> Chosen:
    """Add the certificate in a file; refuse a certificate of another anonymizer.

    Raises:
        DataError: The certificate cannot be read.
        UsageError: The certificate is of another anonymizer.
    """
    from anon_tune.certificate import read_certificate

    certificate = read_certificate(file) if file is not None else chosen.certificate
    if certificate is None:
        return chosen
    own = chosen.loaded.subject
    if (own.method, own.fingerprint) != (certificate.subject.method, certificate.subject.fingerprint):
        got = f"one of {certificate.subject.kind} {certificate.subject.name}"
        where = str(file) if file is not None else f"certificate of trial {own.name}"
        raise UsageError(where, f"must be a certificate of {own.kind} {own.name}", got, "Audit this anonymizer")
    return replace(chosen, certificate=certificate)
