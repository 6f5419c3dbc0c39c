"""Write anonymizer files: weights as safetensors, with recipe and model card in the metadata, or programs.

A closed-form anonymizer has no weights: its safetensors file holds the metadata only.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

import anon_tune
from anon_tune.clips import Clips, make_avatars, open_clips
from anon_tune.clips.built_in import BUILT_IN
from anon_tune.errors import AnonTuneError, UsageError
from anon_tune.export.loading import FORM, check_usable, load_trial
from anon_tune.export.model_card import card_document, card_markdown
from anon_tune.export.programs import ProgramFacts, write_program
from anon_tune.folder import File
from anon_tune.ledger import Ledger
from anon_tune.methods import release_of
from anon_tune.networks import save_weights
from anon_tune.pareto import judged_scores
from anon_tune.recipe import Recipe
from anon_tune.study.certified import certificates_of
from anon_tune.study.privacy_statement import computed_privacy, statement
from anon_tune.study_directory import StudyDirectory, StudyLocation
from anon_tune.trial import Trial

SUFFIXES = (".safetensors", ".pt2", ".onnx")
"""In this order: weights for `load_anonymizer`, a torch.export program, an ONNX program."""


def export_anonymizer(
    directory: StudyLocation,
    trial: Trial,
    clips: str,
    output: Path,
    force: bool = False,
    data_licence: str = "not stated",
    stills: tuple[str, str] = ("", ""),
) -> Path:
    """Write a trial's anonymizer, and its model card as Markdown beside it.

    The suffix of the file sets its format; see `SUFFIXES`. A program is checked against the anonymizer on a clip of
    the study, or on a built-in clip if the study's clips cannot be opened; see `write_program`.

    Args:
        directory: The study directory, a path or a URI.
        trial: A trial of the study with a full score.
        clips: Clips that it was trained and measured on: ``avatars``, ``avatars-anomaly`` or a clip store.
        output: The file to write; ``.safetensors`` is added if it has no suffix.
        force: Replace existing files.
        data_licence: Licence of the clips, for the card.
        stills: Clip store and fingerprint of the stills that its privacy branch learned on, for the card; empty strings
            if it learned on the clips.

    Returns:
        The file's path. The card has the same name with the suffix ``.md``.

    Raises:
        UsageError: The trial is an anchor or has no full score, the suffix is unknown, or a file exists.
        ExportError: A program cannot be made, or a file cannot be written.
        StudyError: Another trial is the only one of a private study that may be released.
    """
    study = StudyDirectory.at(directory)
    output = output if output.suffix else output.with_suffix(".safetensors")
    card = output.with_suffix(".md")
    check_usable(trial)
    assert trial.score is not None
    _check_output(output, () if force else (output, card))
    loaded = load_trial(study, trial)
    recipe = loaded.recipe
    trials = Ledger(study.ledger).trials()
    stated = _stated(study, trial, trials, recipe)
    score = judged_scores(trials).get(trial.id, trial.score)
    store = _store(study, clips)
    certificate = certificates_of(study, [trial]).get(trial.id)
    document = card_document(trial, score, recipe, clips, store, data_licence, stills, certificate, stated)
    if output.suffix == ".safetensors":
        made = {"format": FORM, "anon_tune": anon_tune.__version__, "recipe": recipe.model_dump_json()}
        save_weights(loaded.anonymizer.state_dict(), output, made | {"model_card": json.dumps(document)})
    else:

        def describe(facts: ProgramFacts) -> dict[str, Any]:
            document["program"] = {"shape": facts.shape, "difference": facts.difference}
            return document

        write_program(loaded.anonymizer, _real_frames(store), output, describe)
    File.at(card).write(card_markdown(document, output.name).encode())
    return output


def _stated(study: StudyDirectory, trial: Trial, trials: list[Trial], recipe: Recipe) -> Sequence[tuple[str, str]]:
    """Return the statement of the study's private training, or of the method's private release; empty for neither.

    Raises:
        StudyError: The claim of the study does not cover the release of this trial.
    """
    if promise := release_of(recipe.method):
        return (("private release", promise),)
    private = computed_privacy(study, trials) if recipe.dp.is_on else None
    if private is None:
        return ()
    private.check_release(trial.id, str(study))
    return statement(private)


def _check_output(output: Path, new: Sequence[Path]) -> None:
    if output.suffix not in SUFFIXES:
        raise UsageError(
            str(output), f"must end in one of {', '.join(SUFFIXES)}", output.suffix, "End it in .safetensors"
        )
    for file in new:
        if file.exists():
            raise UsageError(str(file), "already exists", remedy="Name another file or add --force")


def _store(study: StudyDirectory, clips: str) -> Clips | None:
    """Open the clips of a study; None if they cannot be opened any more."""
    try:
        return open_clips(study.clips.location if clips in BUILT_IN else clips)
    except AnonTuneError:
        return None


def _real_frames(store: Clips | None) -> Tensor:
    """Return the first test clip, (T,3,H,W) in [0, 1]; that of the built-in clips if no store with clips is given."""
    if store is not None and store.shape[0] > 1:
        return store.split("test").clips([0])[0]
    with tempfile.TemporaryDirectory(prefix="anon-tune-") as scratch:
        return (
            make_avatars(Path(scratch) / "avatars", num_train=24, num_val=24, num_test=24).split("test").clips([0])[0]
        )
