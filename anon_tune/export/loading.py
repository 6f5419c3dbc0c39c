"""Build an anonymizer from a trial, a file or a method name, for audit, export and anonymize."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anon_tune.certificate import Subject
from anon_tune.errors import ExportError, RecipeError, StudyError, UsageError
from anon_tune.folder import reading_file, why
from anon_tune.methods import find, make_recipe, read_recipe
from anon_tune.methods.external.permission import external_allowed
from anon_tune.methods.loading import given_anonymizer, ready_anonymizer
from anon_tune.networks import Anonymizer
from anon_tune.networks.weights import read_tensors
from anon_tune.recipe import Recipe
from anon_tune.study_directory import StudyDirectory, StudyLocation
from anon_tune.trial import Trial

FORM = "anon_tune anonymizer 1"
"""Format and version of an anonymizer file, as its metadata names them."""

_PROGRAMS = (".pt2", ".onnx")


@dataclass(frozen=True, slots=True)
class LoadedAnonymizer:
    """An anonymizer that is ready to use, with its recipe and its subject.

    Attributes:
        anonymizer: The network, on the CPU, in eval mode, without gradients for its weights.
        recipe: Its architecture and how it was trained.
        subject: The entry for a certificate: a trial, a method or a file.
        card: The model card of a file, see `card_document`; None for a trial or a method.
    """

    anonymizer: Anonymizer
    recipe: Recipe
    subject: Subject
    card: dict[str, Any] | None = None


def load_method(name: str, where: str = "--method") -> LoadedAnonymizer:
    """Build a closed-form anonymizer by its name, such as ``pixelate:8``.

    Raises:
        RecipeError: There is no such method, or it must be trained.
    """
    if find(name, where).is_trained:
        remedy = "Use a trial of a study, or an exported file with --file"
        raise RecipeError(where, "must be a closed-form method", name, remedy)
    recipe = make_recipe({"method": name}, where)
    subject = Subject(kind="method", name=name, method=name, fingerprint="")
    return LoadedAnonymizer(given_anonymizer(recipe), recipe, subject)


def load_file(file: str | Path) -> LoadedAnonymizer:
    """Load an exported anonymizer with its recipe and model card. Nothing in the file is executed.

    Args:
        file: A safetensors file that `export_anonymizer` wrote.

    Raises:
        ExportError: The file is not an exported anonymizer.
        DataError: The file cannot be read, or is damaged.
    """
    path = Path(file)
    if path.suffix in _PROGRAMS:
        rule = "is an exported program, which runs without anon_tune; a safetensors file is needed here"
        raise ExportError(str(path), rule, remedy="Export the trial again, with -o NAME.safetensors")
    tensors, metadata = read_tensors(path)
    if metadata.get("format") != FORM:
        raise ExportError(str(path), f"must be an '{FORM}' file", metadata.get("format"), "Write one with 'export'")
    recipe = _recipe_of(metadata.get("recipe"), str(path))
    try:
        card = json.loads(metadata["model_card"])
    except (KeyError, ValueError) as error:  # JSON's errors are ValueErrors
        raise ExportError(str(path), "is damaged", remedy="Export it again", cause=why(error)) from None
    subject = Subject(kind="file", name=str(file), method=recipe.method, fingerprint=recipe.fingerprint())
    return LoadedAnonymizer(ready_anonymizer(recipe, tensors, str(path)), recipe, subject, card)


def _recipe_of(text: str | None, where: str) -> Recipe:
    """Read the recipe in a file's metadata. An error in the recipe is reported as an error of the file."""
    try:
        return read_recipe(text, where)
    except RecipeError as error:
        raise ExportError(where, error.rule, error.got, error.remedy, error.cause) from None


def load_trial(directory: StudyLocation, trial: Trial) -> LoadedAnonymizer:
    """Build the anonymizer of a trial, finished or not. If its method is trained, it gets the trial's last weights.

    Args:
        directory: The study directory.
        trial: A trial of the study.

    Raises:
        StudyError: The trial has no weights yet, but its method is trained.
        DataError: The weights cannot be read.
    """
    from anon_tune.study.frozen_study import load_study  # a file needs no search space

    study = StudyDirectory.at(directory)
    subject = Subject(kind="trial", name=trial.id, method=trial.method, fingerprint=trial.fingerprint)
    if not find(trial.method, f"trial {trial.id}").is_trained:
        space, _ = load_study(study)  # a closed-form anonymizer is its recipe
        recipe = space.recipe(trial.params, trial.method)
        return LoadedAnonymizer(given_anonymizer(recipe), recipe, subject)
    if trial.rung is None:
        remedy = "Choose a trial that was measured; see 'front --all'"
        raise StudyError(f"trial {trial.id}", "has no weights yet", trial.state.value, remedy)
    with reading_file(study.weights(trial.reports[-1].weights).location) as path:
        tensors, metadata = read_tensors(path)
        recipe = _recipe_of(metadata.get("recipe"), str(path))
        return LoadedAnonymizer(ready_anonymizer(recipe, tensors, str(path)), recipe, subject)


def check_usable(trial: Trial) -> None:
    """Refuse a trial that must not be used on videos: an anchor, or a trial without a full score.

    Raises:
        UsageError: The trial must not be used.
    """
    where = f"trial {trial.id}"
    if trial.is_anchor:
        raise UsageError(where, "is an anchor, which cannot be exported", remedy="Choose another trial")
    if trial.score is None:
        rule = "only a trial with a full score can be exported"
        raise UsageError(where, rule, trial.state.value, "See 'front --all'")


def load_anonymizer(file: str | Path, allow_external: bool = False) -> Anonymizer:
    """Load an exported anonymizer, on the CPU, in eval mode, without gradients for its weights.

    Nothing in the file is executed, unless its method is a program and ``allow_external`` is given.

    Args:
        file: A safetensors file that `export_anonymizer` wrote.
        allow_external: Run the program that a method ``external:COMMAND`` names.

    Returns:
        A module that maps the consecutive frames of one clip, (T,3,H,W) RGB in [0, 1], to the same shape and range.

    Raises:
        ExportError: The file is not an exported anonymizer.
        DataError: The file cannot be read, or is damaged.
    """
    with external_allowed(allow_external):
        return load_file(file).anonymizer
