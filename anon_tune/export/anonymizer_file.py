"""Anonymizer files: safetensors weights whose metadata holds the recipe and the model card.

A closed-form anonymizer has no weights: its file holds the metadata only.
"""

from __future__ import annotations

import json
from pathlib import Path

from torch import Tensor

import anon_tune
from anon_tune.errors import ExportError, RecipeError
from anon_tune.export.model_card import card_document, card_markdown
from anon_tune.ledger import Ledger
from anon_tune.method import parse_method
from anon_tune.models import Anonymizer, build_anonymizer, save_weights
from anon_tune.models.weights import read_tensors
from anon_tune.pareto import judged_scores
from anon_tune.recipe import Recipe
from anon_tune.study.settings import load_study
from anon_tune.trial import Trial

_FORMAT = "anon_tune anonymizer 1"


def export_anonymizer(directory: Path, trial: Trial, clips: str, output: Path, force: bool = False) -> Path:
    """Write a trial's anonymizer, and its model card as Markdown beside it.

    Args:
        directory: The study directory.
        trial: A trial of it with a full score.
        clips: What it was trained and measured on, for the card.
        output: The file to write; ``.safetensors`` is added if it has no suffix.
        force: Replace files that are there.

    Returns:
        The file's path; the card has the same name and ends in ``.md``.

    Raises:
        ExportError: The trial is an anchor or has no full score, or the file exists.
    """
    output = output if output.suffix else output.with_suffix(".safetensors")
    card = output.with_suffix(".md")
    where = f"trial {trial.id}"
    if trial.is_anchor:
        raise ExportError(where, "an anchor has no weights to export", remedy="Choose another trial")
    if trial.score is None:
        raise ExportError(
            where, "only a trial with a full score can be exported", trial.state.value, "See 'front --all'"
        )
    if output == card:
        raise ExportError(str(output), "the weights must not be named like their card", remedy="End it in .safetensors")
    for path in (output, card):
        if path.exists() and not force:
            raise ExportError(str(path), "already exists", remedy="Name another file or add --force")
    tensors, recipe = _weights_and_recipe(directory, trial)
    score = judged_scores(Ledger(directory / "ledger").trials()).get(trial.id, trial.score)
    document = card_document(trial, score, recipe, clips)
    made = {
        "format": _FORMAT,
        "anon_tune": anon_tune.__version__,
        "recipe": recipe.model_dump_json(),
        "model_card": json.dumps(document),
    }
    save_weights(tensors, output, made)
    card.write_text(card_markdown(document), encoding="utf-8")
    return output


def _weights_and_recipe(directory: Path, trial: Trial) -> tuple[dict[str, Tensor], Recipe]:
    if parse_method(trial.method).is_trained:
        tensors, metadata = read_tensors(directory / trial.reports[-1].checkpoint)
        return tensors, Recipe.model_validate_json(metadata["recipe"])
    space, _ = load_study(directory)  # a closed-form anonymizer is its recipe
    return {}, space.recipe(trial.params, trial.method)


def load_anonymizer(file: str | Path) -> Anonymizer:
    """Load an exported anonymizer, on the CPU, in eval mode, without gradients for its weights.

    Nothing in the file is executed.

    Args:
        file: What `export_anonymizer` wrote.

    Returns:
        A module from the consecutive frames of one clip, (T,3,H,W) RGB in [0, 1], to the same.

    Raises:
        ExportError: The file is not an exported anonymizer.
    """
    path = Path(file)
    tensors, metadata = read_tensors(path)
    if metadata.get("format") != _FORMAT:
        raise ExportError(str(path), f"must be an '{_FORMAT}' file", metadata.get("format"), "Write one with 'export'")
    try:
        recipe = Recipe.model_validate_json(metadata["recipe"])
        # The weights are all in the file; the ones the training began with need not exist here.
        anonymizer = build_anonymizer(recipe.method, recipe.anonymizer.model_copy(update={"weights": None}))
        anonymizer.load_state_dict(tensors)
    # Pydantic's errors are ValueErrors, torch's RuntimeErrors.
    except (KeyError, ValueError, RuntimeError, RecipeError) as error:
        raise ExportError(str(path), "damaged", str(error).splitlines()[0], "Export it again") from None
    return anonymizer.eval().requires_grad_(False)
