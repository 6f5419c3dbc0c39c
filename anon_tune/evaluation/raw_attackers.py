"""Attackers trained on raw clips: trained once per study, and trained further in every trial.

An attacker that starts from these weights needs far fewer steps than an attacker trained from scratch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

import torch
from torch import Tensor

from anon_tune.clips import Clips
from anon_tune.evaluation.kept_weights import keep_weights, kept_weights
from anon_tune.evaluation.lab import Attack, Effort, Lab, RawWeights
from anon_tune.folder import File, Folder
from anon_tune.recipe import EvaluationRecipe
from anon_tune.recipe.part import digest


def raw_attackers(clips: Clips, recipe: EvaluationRecipe, device: torch.device, kept: str = "") -> RawWeights:
    """Return the weights of the recipe's networks, each trained on raw training clips with a full score's effort.

    They are read from ``kept`` if they are there, and otherwise trained and saved there. A file that is incomplete, or
    that belongs to other clips or another measurement, is replaced.

    Args:
        clips: The raw clips; only train and val are used.
        recipe: The attackers, their effort and their seed.
        device: Where to compute.
        kept: Folder for the weights, a path or a URI; empty to keep them only in the memory of this process.
    """
    key = _key(clips, recipe)
    file = File(Folder.at(kept), f"{key}.safetensors") if kept else None
    if file is not None and (found := kept_weights(file, key)) is not None:
        return unpack(found[0])
    made = _train(clips, recipe, device)
    if file is not None:
        keep_weights(file, key, pack(made), {})
    return made


def weights_of(attacks: Iterable[Attack]) -> RawWeights:
    """Return the weights of those attackers that are networks."""
    return {
        (attack.family, attack.seed): {k: v.detach().cpu() for k, v in attack.network.state_dict().items()}
        for attack in attacks
        if attack.network is not None
    }


def pack(weights: RawWeights) -> dict[str, Tensor]:
    """Return the tensors of all attackers in one mapping, named ``family/seed/name``."""
    return {
        f"{family}/{seed}/{name}": tensor for (family, seed), own in weights.items() for name, tensor in own.items()
    }


def unpack(tensors: Mapping[str, Tensor]) -> dict[tuple[str, int], dict[str, Tensor]]:
    """Undo `pack`."""
    weights: dict[tuple[str, int], dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        family, seed, name = key.split("/", 2)
        weights.setdefault((family, int(seed)), {})[name] = tensor
    return weights


@lru_cache(maxsize=2)
def _train(clips: Clips, recipe: EvaluationRecipe, device: torch.device) -> RawWeights:
    effort = Effort.of_study(recipe, full=True)
    lab = Lab({name: clips.split(name) for name in ("train", "val")}, effort, device)
    return weights_of(lab.attacks([recipe.seed], {}))


def _key(clips: Clips, recipe: EvaluationRecipe) -> str:
    return digest({"clips": clips.fingerprint, "measurement": recipe.fingerprint()})
