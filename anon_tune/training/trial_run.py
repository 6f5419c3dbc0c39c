"""Lets the networks of a recipe look at one batch before the first trial, on a device without memory and arithmetic.

Shapes: B clips, T frames per clip, C = 3 channels, H height, W width.
"""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

from anon_tune.attackers import find
from anon_tune.attackers.named import is_named
from anon_tune.attackers.protocol import Setting
from anon_tune.errors import AnonTuneError, RecipeError, cause_of, suggest
from anon_tune.networks import build_network
from anon_tune.networks.backbones import I3D
from anon_tune.networks.families import family_of
from anon_tune.recipe import NETWORK_BRANCH, AnonymizerRecipe, PrivacyRecipe, Recipe, UtilityRecipe
from anon_tune.utility_task import ANOMALY

_Section = AnonymizerRecipe | UtilityRecipe | PrivacyRecipe


def check_networks(recipe: Recipe, clip_shape: tuple[int, int, int], trains: bool, where: str) -> None:
    """Check that the networks of other libraries take clips of a shape, and that files of weights fit their networks.

    Files that are not on this machine are not read: `anon_tune.driver` asks the nodes whether they have them.

    Args:
        recipe: The recipe of a trial.
        clip_shape: T, H and W of the clips.
        trains: True if the recipe's method is trained; otherwise only attackers and the classifier are checked.
        where: The file that the recipe came from, for error messages.

    Raises:
        RecipeError: A network cannot take the clips.
        DataError: A file of weights cannot be read, or belongs to another network.
    """
    training, utility = recipe.training, recipe.utility
    read = shape_for_classifier(clip_shape, utility.task, utility.segments)
    if trains:
        num_clips = max(1, training.batch_clips // training.accumulate)
        for section in (recipe.anonymizer, recipe.utility, recipe.privacy):
            if isinstance(section, PrivacyRecipe) and NETWORK_BRANCH not in section.branches:
                continue
            weights = section.weights if section.weights and os.path.exists(section.weights) else None
            foreign = bool(family_of(section.network)) or section.network == I3D
            if foreign or (weights and not isinstance(section, AnonymizerRecipe)):
                seen = read if isinstance(section, UtilityRecipe) else clip_shape
                _run_section(section.model_copy(update={"weights": weights}).model_dump_json(), type(section),
                             num_clips, seen, where)  # fmt: skip
    measuring = recipe.evaluation
    attackers = (*measuring.rung.attackers, *measuring.full.attackers)
    check_measuring_networks(attackers, measuring.classifier, measuring.files, (clip_shape, read), "evaluation.", where)


def shape_for_classifier(clip_shape: tuple[int, int, int], task: str, segments: int) -> tuple[int, int, int]:
    """Return T, H and W of what a classifier sees of a clip: for anomalies, one segment at a time."""
    num_frames, height, width = clip_shape
    return max(1, num_frames // (segments if task == ANOMALY.name else 1)), height, width


def check_measuring_networks(
    attackers: Iterable[str],
    classifier: str,
    files: Mapping[str, str],
    clip_shapes: tuple[tuple[int, int, int], tuple[int, int, int]],
    prefix: str,
    where: str,
) -> None:
    """Check the networks of other libraries among the attackers and the classifier, as `check_networks`.

    Args:
        attackers: Their names.
        classifier: Its name.
        files: Files of pretrained weights, by the name of the network.
        clip_shapes: T, H and W of what an attacker sees, and of what the classifier sees.
        prefix: What stands before ``pretrained`` in the name of the recipe value that names the files.
        where: The file or command that the names came from, for error messages.

    Raises:
        RecipeError: A network cannot take the clips, or a file is for none of these networks.
        DataError: A file of weights cannot be read, or belongs to another network.
    """
    names = dict.fromkeys(attackers)
    tried = [(name, clip_shapes[0]) for name in names if is_named(name)]
    if is_named(classifier):
        tried.append((classifier, clip_shapes[1]))
    readers = {*names, classifier}
    if unread := sorted(files.keys() - readers):
        rule = f"'{prefix}pretrained' must name attackers or the classifier"
        raise RecipeError(where, rule, unread[0], suggest(unread[0], readers))
    for name, shape in dict.fromkeys(tried):
        weights = files.get(name)
        _run_attacker(name, weights if weights and os.path.exists(weights) else None, shape, where)


@functools.lru_cache(maxsize=64)  # a search space is checked with many recipes of few networks
def _run_section(text: str, kind: type[_Section], num_clips: int, clip_shape: tuple[int, int, int], where: str) -> None:
    section = kind.model_validate_json(text)
    num_frames, height, width = clip_shape
    shape = num_clips, num_frames, 3, height, width
    if isinstance(section, AnonymizerRecipe):
        run(lambda: build_network(section), shape, f"'anonymizer.network': '{section.network}'", where)
    elif isinstance(section, UtilityRecipe):
        run(lambda: build_network(section, 2), shape, f"'utility.network': '{section.network}'", where)
    else:
        shown = (2 * num_clips, *shape[2:])
        run(lambda: build_network(section, 2), shown, f"'privacy.network': '{section.network}'", where)


@functools.lru_cache(maxsize=64)
def _run_attacker(name: str, weights: str | None, clip_shape: tuple[int, int, int], where: str) -> None:
    num_frames, height, width = clip_shape
    setting = Setting(2, 16, clip_shape, weights)

    def build() -> nn.Module:
        built = find(name, where).build(setting)
        assert isinstance(built, nn.Module)
        return built

    run(build, (2, num_frames, 3, height, width), f"the attacker or classifier '{name}'", where)


def run(build: Callable[[], nn.Module], shape: tuple[int, ...], what: str, where: str) -> Tensor:
    """Build a network and run it on a batch of a shape, without memory and arithmetic; return its output.

    Raises:
        RecipeError: The network cannot be built, or cannot take such a batch.
    """
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings(), torch.no_grad(), torch.device("meta"):
            warnings.simplefilter("ignore")  # weights that are loaded here go nowhere, which is meant
            network = build()
            out: Tensor = network.train()(torch.empty(shape))
            return out
    except AnonTuneError:
        raise
    except NotImplementedError:  # an operation that torch cannot run without arithmetic says nothing about the shape
        return torch.empty(0)
    except Exception as error:  # a library may raise anything
        size = " x ".join(str(n) for n in (*shape[1:-3], *shape[-2:]) if n)
        rule = f"{what} cannot take a batch of {shape[0]} {'clips' if len(shape) == 5 else 'frames'} of {size}"
        remedy = "Choose another network, or import clips of another size"
        raise RecipeError(where, rule, remedy=remedy, cause=cause_of(error)) from None
