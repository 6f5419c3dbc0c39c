"""Anonymizer files: safetensors weights whose metadata holds the recipe and the model card, or programs.

A closed-form anonymizer has no weights: its safetensors file holds the metadata only.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

import anon_tune
from anon_tune.clips import Clips, make_avatars, open_clips
from anon_tune.errors import AnonTuneError, ExportError
from anon_tune.export.model_card import card_document, card_markdown
from anon_tune.export.programs import ProgramFacts, write_program
from anon_tune.folder import Folder, Location, reading_file
from anon_tune.ledger import Ledger
from anon_tune.methods import build_anonymizer, is_trained, read_recipe
from anon_tune.networks import Anonymizer, save_weights
from anon_tune.networks.weights import read_tensors
from anon_tune.pareto import judged_scores
from anon_tune.recipe import Recipe
from anon_tune.study.settings import load_study
from anon_tune.trial import Trial

SUFFIXES = (".safetensors", ".pt2", ".onnx")
"""Kinds of files: weights for `load_anonymizer`, a torch.export program, ONNX."""

_FORMAT = "anon_tune anonymizer 1"
_BUILT_IN = "avatars"


def export_anonymizer(
    directory: Location,
    trial: Trial,
    clips: str,
    output: Path,
    force: bool = False,
    data_licence: str = "not stated",
    stills: tuple[str, str] = ("", ""),
) -> Path:
    """Write a trial's anonymizer, and its model card as Markdown beside it.

    What the file is follows from its suffix, see `SUFFIXES`. A program is checked against the anonymizer
    on clips of the study, or on built-in ones where those are not at hand; see `write_program`.

    Args:
        directory: The study directory, a path or a URI.
        trial: A trial of it with a full score.
        clips: What it was trained and measured on: ``avatars`` or a clip store.
        output: The file to write; ``.safetensors`` is added if it has no suffix.
        force: Replace files that are there.
        data_licence: Licence of these clips, for the card.
        stills: Clip store and fingerprint of what its privacy branch learned on, for the card; empty for the clips.

    Returns:
        The file's path; the card has the same name and ends in ``.md``.

    Raises:
        ExportError: The trial is an anchor or has no full score, the file exists, or a program cannot be made.
    """
    study = Folder.at(directory)
    output = output if output.suffix else output.with_suffix(".safetensors")
    card = output.with_suffix(".md")
    where = f"trial {trial.id}"
    if trial.is_anchor:
        raise ExportError(where, "an anchor has no weights to export", remedy="Choose another trial")
    if trial.score is None:
        raise ExportError(
            where, "only a trial with a full score can be exported", trial.state.value, "See 'front --all'"
        )
    if output.suffix not in SUFFIXES:
        raise ExportError(str(output), f"must end in {', '.join(SUFFIXES)}", output.suffix, "End it in .safetensors")
    for path in (output, card):
        if path.exists() and not force:
            raise ExportError(str(path), "already exists", remedy="Name another file or add --force")
    tensors, recipe = _weights_and_recipe(study, trial)
    score = judged_scores(Ledger(study / "ledger").trials()).get(trial.id, trial.score)
    store = _store(study, clips)
    document = card_document(trial, score, recipe, clips, store, data_licence, stills)
    if output.suffix == ".safetensors":
        made = {"format": _FORMAT, "anon_tune": anon_tune.__version__, "recipe": recipe.model_dump_json()}
        save_weights(tensors, output, made | {"model_card": json.dumps(document)})
    else:

        def describe(facts: ProgramFacts) -> dict[str, Any]:
            document["program"] = {"shape": facts.shape, "difference": facts.difference}
            return document

        write_program(_built(recipe, tensors, f"trial {trial.id}"), _real_frames(store), output, describe)
    card.write_text(card_markdown(document, output.name), encoding="utf-8")
    return output


def _store(study: Folder, clips: str) -> Clips | None:
    """Open the clips of a study; None if they are not at hand any more."""
    try:
        return open_clips((study / "clips").location if clips == _BUILT_IN else clips)
    except AnonTuneError:
        return None


def _real_frames(store: Clips | None) -> Tensor:
    """Return the first test clip, (T,3,H,W) in [0, 1]; of built-in clips where there are no others."""
    if store is not None and store.shape[0] > 1:
        return store.split("test").clips([0])[0]
    with tempfile.TemporaryDirectory(prefix="anon-tune-") as scratch:
        return make_avatars(Path(scratch) / "clips", num_train=24, num_val=24, num_test=24).split("test").clips([0])[0]


def _weights_and_recipe(study: Folder, trial: Trial) -> tuple[dict[str, Tensor], Recipe]:
    if is_trained(trial.method):
        with reading_file((study / trial.reports[-1].checkpoint).location) as path:
            tensors, metadata = read_tensors(path)
            return tensors, read_recipe(metadata.get("recipe"), str(path))
    space, _ = load_study(study)  # a closed-form anonymizer is its recipe
    return {}, space.recipe(trial.params, trial.method)


def _built(recipe: Recipe, tensors: dict[str, Tensor], where: str) -> Anonymizer:
    # The weights are all in the file; the ones the training began with need not exist here.
    anonymizer = build_anonymizer(recipe.with_weights(None))
    try:
        anonymizer.load_state_dict(tensors)
    except RuntimeError as error:
        raise ExportError(where, "damaged", str(error).splitlines()[0], "Put a whole file in its place") from None
    return anonymizer.eval().requires_grad_(False)


@dataclass(frozen=True, slots=True)
class Export:
    """What is in an anonymizer file.

    Attributes:
        anonymizer: On the CPU, in eval mode, without gradients for its weights.
        recipe: How it was trained.
        card: The model card, as `card_document` has it.
    """

    anonymizer: Anonymizer
    recipe: Recipe
    card: dict[str, Any]


def load_export(file: str | Path) -> Export:
    """Load an exported anonymizer with what is known of it. Nothing in the file is executed.

    Args:
        file: A safetensors file that `export_anonymizer` wrote.

    Raises:
        ExportError: The file is not an exported anonymizer.
    """
    path = Path(file)
    tensors, metadata = read_tensors(path)
    if metadata.get("format") != _FORMAT:
        raise ExportError(str(path), f"must be an '{_FORMAT}' file", metadata.get("format"), "Write one with 'export'")
    recipe = read_recipe(metadata.get("recipe"), str(path))
    try:
        return Export(_built(recipe, tensors, str(path)), recipe, json.loads(metadata["model_card"]))
    except (KeyError, ValueError) as error:
        raise ExportError(str(path), "damaged", str(error).splitlines()[0], "Export it again") from None


def load_anonymizer(file: str | Path) -> Anonymizer:
    """Load an exported anonymizer, on the CPU, in eval mode, without gradients for its weights.

    Nothing in the file is executed.

    Args:
        file: A safetensors file that `export_anonymizer` wrote.

    Returns:
        A module from the consecutive frames of one clip, (T,3,H,W) RGB in [0, 1], to the same.

    Raises:
        ExportError: The file is not an exported anonymizer.
    """
    return load_export(file).anonymizer
