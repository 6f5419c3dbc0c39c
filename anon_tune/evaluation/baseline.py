"""The baseline: attackers and a classifier trained on raw clips, computed once for all audits on the same clips.

Shapes: N clips, A attributes, K actions.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from anon_tune.certificate import Attacker, Canary
from anon_tune.clips import ClipSet, one_per_clip
from anon_tune.errors import RecipeError
from anon_tune.evaluation.canaries import CANARIES, keep_canaries
from anon_tune.evaluation.clip_counts import check_clips
from anon_tune.evaluation.committee import with_committees
from anon_tune.evaluation.effort import Effort
from anon_tune.evaluation.kept_weights import keep_weights, kept_weights
from anon_tune.evaluation.lab import Lab, PieceProgress, Pieces, RawWeights, Weights, strongest
from anon_tune.evaluation.raw_networks import RawNetworks, weights_of, weights_on_cpu
from anon_tune.evaluation.utility_metric import beside_value, utility_value
from anon_tune.folder import File
from anon_tune.recipe import MEASURE_VERSION, AuditRecipe
from anon_tune.utility_task import TASKS

FORM = f"anon_tune.baseline/4.{MEASURE_VERSION}"
"""Form of the file. It changes whenever the same clips and effort would give another baseline."""


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """Everything that an audit needs from training on raw clips, at one effort.

    Attributes:
        effort: How long attackers were allowed to train.
        clips: Digest of the raw clips and their labels, see `digest`.
        attackers: Results of every attacker on raw clips: trained from scratch, and trained further from these weights.
        weights: Weights of the attackers trained from scratch, by family and seed.
        classifier: Weights of the network of the utility task that was trained from scratch.
        leakage_ceiling: cMAP of the strongest attacker on the test split.
        accuracy_ceiling: What the better of two networks reaches in the task on the test split: this one, and one that
            was trained further from its weights.
        beside_ceiling: The same for what is measured beside it; NaN if nothing is.
        canaries: Results of the canaries.
    """

    effort: AuditRecipe
    clips: str
    attackers: tuple[Attacker, ...]
    weights: RawWeights
    classifier: Weights
    leakage_ceiling: float
    accuracy_ceiling: float
    canaries: tuple[Canary, ...]
    beside_ceiling: float = math.nan

    @property
    def recognizer(self) -> tuple[str, int]:
        """Family and seed of the fresh network that is best on raw validation clips."""
        alone = (a for a in self.attackers if a.start == "fresh" and (a.family, a.seed) in self.weights)
        best = max(alone, key=lambda a: a.validation)
        return best.family, best.seed

    def keep(self, file: File, key: str) -> None:
        """Write a safetensors file that `kept` reads; it appears under its name only when complete."""
        record = {
            "effort": self.effort.model_dump(mode="json"),
            "clips": self.clips,
            "attackers": [attacker.model_dump(mode="json") for attacker in self.attackers],
            "leakage_ceiling": self.leakage_ceiling,
            "accuracy_ceiling": self.accuracy_ceiling,
            "canaries": [canary.model_dump(mode="json") for canary in self.canaries],
            "beside_ceiling": self.beside_ceiling,
        }
        keep_weights(
            file, f"{FORM} {key}", RawNetworks(self.weights, self.classifier).pack(), {"baseline": json.dumps(record)}
        )

    @classmethod
    def kept(cls, file: File, key: str) -> Self | None:
        """Read a file that `keep` wrote; None if it is not there, is damaged, or has another key or form."""
        found = kept_weights(file, f"{FORM} {key}")
        return None if found is None else cls._of(found[0], json.loads(found[1]["baseline"]))

    @classmethod
    def _of(cls, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> Self:
        networks = RawNetworks.unpack(tensors)
        assert networks.classifier is not None
        return cls(
            effort=AuditRecipe.model_validate(record["effort"]),
            clips=record["clips"],
            attackers=tuple(Attacker.model_validate(one) for one in record["attackers"]),
            weights=networks.attackers,
            classifier=networks.classifier,
            leakage_ceiling=record["leakage_ceiling"],
            accuracy_ceiling=record["accuracy_ceiling"],
            canaries=tuple(Canary.model_validate(one) for one in record["canaries"]),
            beside_ceiling=record.get("beside_ceiling", math.nan),
        )


def make_baseline(
    raw: Mapping[str, ClipSet], effort: AuditRecipe, device: torch.device, progress: PieceProgress
) -> Baseline:
    """Train attackers and a classifier on raw clips, and measure the canaries.

    The ceiling of leakage comes from the same set of attackers that an audit tries: attackers trained from scratch,
    attackers trained further from their weights, and committees. On raw clips, the frozen attackers are the same as
    those trained from scratch.

    Args:
        raw: Clips of train, val and test.
        effort: How long attackers may train.
        device: Where to compute.
        progress: Called with the current task, the number of pieces done and the total number.

    Raises:
        DataError: A split has too few positive or negative clips of an attribute.
        RecipeError: An attacker is unknown, or no attacker is a network.
    """
    check_clips(raw, [f"attribute {at}" for at in range(raw["train"].private.shape[1])])
    seeds = seeds_of(effort)
    pieces = Pieces(progress, len(effort.attackers) * (2 * len(seeds) + len(CANARIES)) + 2)
    lab = Lab(raw, Effort.of_audit(effort), device, pieces)
    specs = {spec.name: spec for spec in lab.attackers}
    alone = list(lab.attacks(seeds, {}))
    weights = weights_of(alone)
    if not weights:
        rule = "'attackers' must name at least one network, because only networks can be trained further from raw clips"
        got = ", ".join(specs)
        raise RecipeError("audit", rule, got, "Add the attacker 'frame'")
    further = [lab.attack(specs[family], "raw", seed, own) for (family, seed), own in weights.items()]
    val, test = one_per_clip(raw["val"]), one_per_clip(raw["test"])
    fresh, further = (with_committees(some, val, test) for some in (alone, further))
    classifier, _ = lab.classifier(num_actions(raw))
    weights_of_classifier = weights_on_cpu(classifier)
    other, _ = lab.classifier(num_actions(raw), weights_of_classifier)
    canaries = keep_canaries(raw, [a.record for a in fresh], effort, device, pieces)
    pieces.end()
    said = lab.better_classifier((classifier, other), raw["val"], raw["test"])
    return Baseline(
        effort=effort,
        clips=digest(raw),
        attackers=tuple(a.record for a in (*fresh, *further)),
        weights=weights,
        classifier=weights_of_classifier,
        leakage_ceiling=strongest([*fresh, *further]).values["test"],
        accuracy_ceiling=utility_value(effort.task, said, test),
        canaries=canaries,
        beside_ceiling=beside_value(said, test) if TASKS[effort.task].beside else math.nan,
    )


def seeds_of(effort: AuditRecipe) -> range:
    """Return the seeds of the attackers; the attackers of the canaries have the next seed."""
    return range(effort.seed, effort.seed + effort.num_seeds)


def num_actions(splits: Mapping[str, ClipSet]) -> int:
    """Return K, one more than the largest index of an action."""
    return 1 + max(int(split.actions.max()) for split in splits.values())


def digest(splits: Mapping[str, ClipSet]) -> str:
    """Return 16 hex digits that change with any frame or label of the clips."""
    told = hashlib.sha256()
    for name in sorted(splits):
        split = splits[name]
        told.update(f"{name} {split.frames.shape} {split.private.shape}".encode())
        told.update(split.private.tobytes() + split.actions.tobytes())
        for clip in split.frames:
            told.update(np.ascontiguousarray(clip).data)
    return told.hexdigest()[:16]
