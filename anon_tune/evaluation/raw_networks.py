"""Attackers and a classifier trained on raw clips: trained once per study, and trained further in every trial.

A network that starts from these weights needs far fewer steps than one trained from scratch. On some anonymized clips,
a classifier trained from scratch does not get off the ground at all.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from anon_tune.clips import Clips, spread_windows
from anon_tune.clips.locks import locked
from anon_tune.evaluation.effort import Effort
from anon_tune.evaluation.kept_weights import keep_weights, kept_weights
from anon_tune.evaluation.lab import Attack, Lab, RawWeights, Weights
from anon_tune.folder import File, Folder
from anon_tune.recipe import EvaluationRecipe, UtilityRecipe
from anon_tune.recipe.part import digest
from anon_tune.training.anomaly import with_task_labels

_ACTIONS = UtilityRecipe()
_CLASSIFIER = "classifier/"


@dataclass(frozen=True, slots=True)
class RawNetworks:
    """Weights of networks that were trained on raw clips.

    Attributes:
        attackers: Those of the attackers that are networks, by family and seed.
        classifier: Those of the action classifier; None to train every classifier from scratch.
    """

    attackers: RawWeights
    classifier: Weights | None

    def pack(self) -> dict[str, Tensor]:
        """Return all tensors in one mapping, named ``family/seed/name`` and ``classifier/name``."""
        packed = {f"{family}/{seed}/{k}": v for (family, seed), own in self.attackers.items() for k, v in own.items()}
        return packed | {f"{_CLASSIFIER}{name}": tensor for name, tensor in (self.classifier or {}).items()}

    @classmethod
    def unpack(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Undo `pack`."""
        classifier = {k.removeprefix(_CLASSIFIER): v for k, v in tensors.items() if k.startswith(_CLASSIFIER)}
        attackers: dict[tuple[str, int], dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            if not key.startswith(_CLASSIFIER):
                family, seed, name = key.split("/", 2)
                attackers.setdefault((family, int(seed)), {})[name] = tensor
        return cls(attackers, classifier or None)


NOT_TRAINED = RawNetworks({}, None)
"""No weights: everything is trained from scratch."""


def raw_networks(
    clips: Clips, recipe: EvaluationRecipe, device: torch.device, kept: str = "", utility: UtilityRecipe = _ACTIONS
) -> RawNetworks:
    """Return the weights of the recipe's networks, each trained on raw training clips with a full score's effort.

    They are read from ``kept`` if they are there, and otherwise trained and saved there. A file that is incomplete, or
    that belongs to other clips or another measurement, is replaced. Processes of one machine wait for each other.

    Args:
        clips: The raw clips; only train and val are used.
        recipe: The attackers, their effort and their seed.
        device: Where to compute.
        kept: Folder for the weights, a path or a URI; empty to keep them only in the memory of this process.
        utility: The utility task.
    """
    if not kept:
        return _train(clips, recipe, device, utility)
    of_task = {"task": [utility.task, utility.segments]} if utility.task != _ACTIONS.task else {}
    key = digest({"clips": clips.fingerprint, "measurement": recipe.fingerprint(), **of_task})
    file = File(Folder.at(kept), f"{key}.safetensors")
    with locked(Path(tempfile.gettempdir()) / f"anon-tune-{os.getuid()}-{key}", wait=True):
        found = kept_weights(file, key)
        if found is not None:
            return RawNetworks.unpack(found[0])
        made = _train(clips, recipe, device, utility)
        keep_weights(file, key, made.pack(), {})
    return made


def weights_of(attacks: Iterable[Attack]) -> RawWeights:
    """Return the weights of those attackers that are networks."""
    return {(a.family, a.seed): weights_on_cpu(a.network) for a in attacks if a.network is not None}


def weights_on_cpu(network: nn.Module) -> Weights:
    """Return the weights of a network, on the CPU."""
    return {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}


@lru_cache(maxsize=2)
def _train(clips: Clips, recipe: EvaluationRecipe, device: torch.device, utility: UtilityRecipe) -> RawNetworks:
    effort = Effort.of_study(recipe, full=True, utility=utility)
    splits = {name: with_task_labels(utility.task, clips.split(name)) for name in ("train", "val")}
    lab = Lab({name: spread_windows(split, recipe.num_windows) for name, split in splits.items()}, effort, device)
    classifier, _ = lab.classifier(len(clips.actions))
    return RawNetworks(weights_of(lab.attacks([recipe.seed], {})), weights_on_cpu(classifier))
