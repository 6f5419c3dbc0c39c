"""What videos are anonymized by: an exported file, a trial of a study, or a method that nobody trains."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anon_tune.commands.results import pick_trial
from anon_tune.commands.study_clips import BUILT_IN
from anon_tune.errors import AnonTuneError, RecipeError, StudyError
from anon_tune.folder import Folder

if TYPE_CHECKING:
    from anon_tune.certificate import Certificate
    from anon_tune.networks import Anonymizer

_REMEDY = "See 'anon-tune anonymize --help'"


@dataclass(frozen=True)
class Chosen:
    """The anonymizer, and what is known of it.

    Attributes:
        anonymizer: In eval mode, without gradients.
        kind: method, trial or file.
        name: As the user gave it.
        method: The recipe's method.
        fingerprint: Of the recipe; empty for a method.
        card: The model card, if there is one.
        clip_size: Height and width it was trained at, if known.
        certificate: That was found for it.
    """

    anonymizer: Anonymizer
    kind: str
    name: str
    method: str
    fingerprint: str = ""
    card: dict[str, Any] | None = None
    clip_size: tuple[int, int] | None = None
    certificate: Certificate | None = None


def choose(
    file: Path | None, study: Folder | None, trial: str | None, leakage_at_most: float | None, method: str | None
) -> Chosen:
    """Find the anonymizer that one of ``--file``, ``--study`` and ``--method`` names.

    Raises:
        AnonTuneError: Not exactly one is given, or there is no such anonymizer.
    """
    given = [name for name, value in (("--file", file), ("--study", study), ("--method", method)) if value is not None]
    if len(given) != 1:
        got = " and ".join(given) or "none"
        raise AnonTuneError("anonymize", "give exactly one of --file, --study and --method", got, _REMEDY)
    if study is not None:
        if (trial is None) == (leakage_at_most is None):
            raise AnonTuneError("--study", "needs one of --trial and --leakage-at-most", remedy=_REMEDY)
        return _by_study(study, trial, leakage_at_most)
    if trial is not None or leakage_at_most is not None:
        raise AnonTuneError("anonymize", "--trial and --leakage-at-most go with --study", remedy=_REMEDY)
    return _by_file(file) if file is not None else _by_method(str(method))


def _by_file(file: Path) -> Chosen:
    from anon_tune.export import load_export

    export = load_export(file)
    recipe, data = export.recipe, export.card.get("data")
    size = (data["height"], data["width"]) if data else None
    return Chosen(
        export.anonymizer, "file", str(file), recipe.method, recipe.fingerprint(), export.card, clip_size=size
    )


def _by_method(method: str) -> Chosen:
    from anon_tune.method import parse_method
    from anon_tune.networks import build_anonymizer
    from anon_tune.recipe import AnonymizerRecipe

    if parse_method(method, "--method").is_trained:
        remedy = "Take a trial with --study, or an export with --file"
        raise RecipeError("--method", "must be an anonymizer that nobody trains", method, remedy)
    anonymizer = build_anonymizer(method, AnonymizerRecipe()).eval().requires_grad_(False)
    return Chosen(anonymizer, "method", method, method)


def _by_study(study: Folder, trial: str | None, leakage_at_most: float | None) -> Chosen:
    from anon_tune.certificate import read_certificate
    from anon_tune.clips import open_clips
    from anon_tune.commands.audit import trial_anonymizer
    from anon_tune.study import load_study

    picked = pick_trial(study, leakage_at_most, trial)
    anonymizer = trial_anonymizer(study, picked).eval().requires_grad_(False)
    _, settings = load_study(study)
    try:
        _, height, width, _ = open_clips(
            (study / "clips").location if settings.clips == BUILT_IN else settings.clips
        ).shape
    except AnonTuneError:  # the clips need not be at hand
        size = None
    else:
        size = height, width
    audits, kept, certificate = study / "audits", f"{picked.id}.json", None
    if audits.has(kept):
        with audits.reading(kept) as path:
            certificate = read_certificate(path)
    return Chosen(
        anonymizer, "trial", picked.id, picked.method, picked.fingerprint, clip_size=size, certificate=certificate
    )


def certified(chosen: Chosen, file: Path | None) -> Chosen:
    """Add the certificate of a file; refuse one of another anonymizer.

    Raises:
        StudyError: It cannot be read, or is of another anonymizer.
    """
    from anon_tune.certificate import read_certificate

    certificate = read_certificate(file) if file is not None else chosen.certificate
    if certificate is None:
        return chosen
    own = (chosen.method, chosen.fingerprint)
    if own != (certificate.subject.method, certificate.subject.fingerprint):
        got = f"one of {certificate.subject.kind} {certificate.subject.name}"
        where = str(file) if file is not None else f"audits/{chosen.name}.json"
        raise StudyError(where, f"must be a certificate of {chosen.kind} {chosen.name}", got, "Audit this one")
    return replace(chosen, certificate=certificate)
