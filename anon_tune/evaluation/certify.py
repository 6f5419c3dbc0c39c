"""The audit of an anonymizer: what attackers infer from anonymized clips, compared with raw clips.

Shapes: N clips, T frames per clip, H height, W width, A attributes, K actions, D features.
"""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

import torch
from torch import nn

import anon_tune
from anon_tune.attackers import AttackerSpec, find
from anon_tune.certificate import (
    COMMITTEE,
    Attacker,
    Beside,
    Certificate,
    Data,
    Linkage,
    Reconstruction,
    Status,
    Subject,
)
from anon_tune.clips import ClipSet, epoch_batches, one_per_clip
from anon_tune.errors import DataError
from anon_tune.evaluation.baseline import Baseline, digest, num_actions, seeds_of
from anon_tune.evaluation.committee import with_committees
from anon_tune.evaluation.effort import Effort
from anon_tune.evaluation.lab import Attack, Lab, PieceProgress, Pieces, Weights, strongest
from anon_tune.evaluation.linkage import link
from anon_tune.evaluation.metrics import Floats, class_mean_ap, prevalence
from anon_tune.evaluation.reconstruction import fit_reconstruction, read_reconstruction
from anon_tune.evaluation.resampling import NUM_PERMUTATIONS, Resamples, chance_of_strongest, draw_resamples
from anon_tune.evaluation.thresholds import read_attribute
from anon_tune.evaluation.utility_metric import beside_value, utility_floor, utility_value
from anon_tune.recipe import MEASURE_VERSION, AuditRecipe
from anon_tune.utility_task import ANOMALY, TASKS

Splits = Mapping[str, ClipSet]


def certify(
    raw: Splits,
    changed: Splits,
    baseline: Baseline,
    subject: Subject,
    data: Data,
    effort: AuditRecipe,
    device: torch.device,
    progress: PieceProgress,
    extra_attackers: Sequence[str | AttackerSpec] = (),
) -> Certificate:
    """Audit anonymized clips.

    Leakage and its ceiling are those of the strongest attacker on the test split, so they err on the high side. Every
    family attacks with every seed: from scratch, further from raw-trained weights, and frozen at them. For each start
    and seed, the committee of all families attacks too. The floor is that of one blind attacker. With few clips, the
    strongest of many blind ones can reach ``leakage_by_chance``; leakage below it counts as none.

    Args:
        raw: Clips of train, val and test; ``changed`` are these after the anonymizer, as a file would hold them.
        baseline: The baseline for the same raw clips and effort.
        subject: What is audited.
        effort: How long attackers may train.
        progress: Called with the current task, the number of pieces done and the total number.
        extra_attackers: Those of the method itself, only trained from scratch; ``changed`` has their additional inputs.

    Raises:
        DataError: The anonymized clips do not match the raw clips, or the baseline is for other clips or effort.

    Source:
        Maximum over several kinds of attackers that took no part in the training: VITA (arXiv:1906.05675). Training on
        anonymized clips: arXiv:2304.01635. Reconstruction: Fantomas (arXiv:2210.10651). The rest is ours.
    """
    start = time.monotonic()
    _check(raw, changed, baseline, effort)
    tried = Effort.of_audit(effort, extra_attackers)
    pieces = Pieces(progress, (len(tried.attackers) + len(effort.attackers)) * len(seeds_of(effort)) + 3)
    found = _attack(raw, changed, baseline, effort, Lab(changed, tried, device, pieces))
    pieces.end()
    resamples = draw_resamples(one_per_clip(changed["test"]).groups, effort.num_bootstraps, effort.seed)
    status, reasons = _status([attack.record for attack in found.attacks], found.still_learned, baseline)
    return Certificate(
        schema="anon_tune.certificate/1",
        status=status,
        reasons=reasons,
        subject=subject,
        data=data,
        **_leakage(found, changed, baseline, data.attributes, effort, resamples),
        **_accuracy(found, changed, baseline, effort, resamples),
        distortion=_distortion(raw["test"], changed["test"], effort.batch_clips),
        reconstruction=found.reconstruction,
        linkage=found.linkage,
        canaries=baseline.canaries,
        confidence=effort.confidence,
        effort=told_effort(effort),
        measure_version=MEASURE_VERSION,
        seconds=time.monotonic() - start,
        versions=_versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def told_effort(effort: AuditRecipe) -> dict[str, float | int | str]:
    """Return an effort as a certificate tells it.

    `task` and `segments` are left out for the task ``action``, so that old certificates compare.
    """
    left_out = () if effort.task == ANOMALY.name else ("task", "segments")
    told = {name: value for name, value in effort if name not in left_out}
    return {n: value if isinstance(value, (int, float, str)) else ", ".join(value) for n, value in told.items()}


def _versions() -> dict[str, str]:
    return {"anon_tune": anon_tune.__version__, "torch": torch.__version__, "python": platform.python_version()}


@dataclass(frozen=True, slots=True, eq=False)
class _Findings:
    """What the networks of an audit found on the anonymized clips.

    Attributes:
        attacks: Results of all attackers, including committees.
        classifier: Scores (N,K) or (N,S) on the test split of the better of two classifiers: one trained from scratch,
            one trained further from raw-trained weights.
        frozen_classifier: Scores (N,K) or (N,S) of the classifier that was trained on raw clips.
        still_learned: True if one of the two was still improving at its last step.
        reconstruction: Result of the attacker that reconstructs the raw frames.
        linkage: How well clips with the same private labels are retrieved.
    """

    attacks: Sequence[Attack]
    classifier: Floats
    frozen_classifier: Floats
    still_learned: bool
    reconstruction: Reconstruction
    linkage: Mapping[Literal["raw to anonymized", "anonymized to anonymized"], Linkage]


def _attack(raw: Splits, changed: Splits, baseline: Baseline, effort: AuditRecipe, lab: Lab) -> _Findings:
    """Train every network of an audit and read it on the test split."""
    test, num_classes = changed["test"], num_actions(raw)
    alone = list(lab.attacks(seeds_of(effort), baseline.weights))
    attacks = with_committees(alone, one_per_clip(changed["val"]), one_per_clip(test))
    fresh, learned = lab.classifier(num_classes)
    further, still = lab.classifier(num_classes, baseline.classifier)
    classifier = lab.better_classifier((fresh, further), changed["val"], test)
    frozen = lab.predict(_restored(lab.build_classifier(num_classes), baseline.classifier, lab.device), test)
    recognizer = _recognizer(lab, baseline)
    if lab.pieces is not None:
        lab.pieces.begin("reconstruction")
    recognize = partial(lab.score_clips, recognizer, find(baseline.recognizer[0]))
    reconstruction = read_reconstruction(
        fit_reconstruction(raw["train"], changed["train"], effort, lab.device),
        raw["test"],
        test,
        lambda clips: class_mean_ap(recognize(clips), one_per_clip(clips).private),
        effort.batch_clips,
        lab.device,
    )
    linkage = _linkage(lab, raw, changed, recognizer, _strongest_network(attacks))
    return _Findings(attacks, classifier, frozen, not (learned.plateau and still.plateau), reconstruction, linkage)


def _leakage(
    found: _Findings,
    changed: Splits,
    baseline: Baseline,
    attributes: Sequence[str],
    effort: AuditRecipe,
    resamples: Resamples,
) -> dict[str, Any]:
    """Return the fields of a certificate that tell about leakage."""
    val, test, best = one_per_clip(changed["val"]), one_per_clip(changed["test"]), strongest(found.attacks)
    floor, ceiling = prevalence(test.private), baseline.leakage_ceiling
    scores = [attack.scores["test"] for attack in found.attacks]
    return {
        "leakage": best.values["test"],
        "leakage_floor": floor,
        "leakage_ceiling": ceiling,
        "leakage_normalized": _normalized(best.values["test"], floor, ceiling),
        "leakage_interval": resamples.map_interval(best.scores["test"], test.private, effort.confidence),
        "leakage_by_chance": chance_of_strongest(scores, test.private, NUM_PERMUTATIONS, effort.seed)[1],
        "leakage_frozen": max(attack.values["test"] for attack in found.attacks if attack.start == "frozen"),
        "strongest": best.name,
        "attackers": tuple(attack.record for attack in found.attacks),
        "attributes": tuple(
            read_attribute(
                name,
                (best.scores["val"][:, at], val.private[:, at]),
                (best.scores["test"][:, at], test.private[:, at]),
            )
            for at, name in enumerate(attributes)
        ),
    }


def _accuracy(
    found: _Findings, changed: Splits, baseline: Baseline, effort: AuditRecipe, resamples: Resamples
) -> dict[str, Any]:
    """Return the fields of a certificate that tell about the utility task."""
    test, task, confidence = one_per_clip(changed["test"]), effort.task, effort.confidence
    if task == ANOMALY.name:
        interval = resamples.interval(lambda at: utility_value(task, found.classifier, test, at), confidence)
    else:
        interval = resamples.mean_interval(found.classifier.argmax(axis=1) == test.actions, confidence)
    fields: dict[str, Any] = {
        "task": task,
        "accuracy": utility_value(task, found.classifier, test),
        "accuracy_floor": utility_floor(task, one_per_clip(changed["train"]), test),
        "accuracy_ceiling": baseline.accuracy_ceiling,
        "accuracy_interval": interval,
        "accuracy_frozen": utility_value(task, found.frozen_classifier, test),
    }
    if name := TASKS[task].beside:
        low_high = resamples.interval(lambda at: beside_value(found.classifier, test, at), confidence)
        value = beside_value(found.classifier, test)
        fields["beside"] = {name: Beside(value=value, floor=0.5, ceiling=baseline.beside_ceiling, interval=low_high)}
    return fields


def _check(raw: Splits, changed: Splits, baseline: Baseline, effort: AuditRecipe) -> None:
    for name, split in raw.items():
        other = changed[name]
        if split.frames.shape != other.frames.shape:
            rule = f"anonymized clips of '{name}' must have the raw clips' shape {split.frames.shape}"
            raise DataError("audit", rule, str(other.frames.shape), "Import both with the same pattern and size")
        if not ((split.private == other.private).all() and (split.actions == other.actions).all()):
            rule = f"anonymized clips of '{name}' must have the raw clips' labels, row by row"
            raise DataError("audit", rule, remedy="Import both with the same pattern")
    if baseline.effort != effort or baseline.clips != digest(raw):
        raise DataError(
            "audit", "the baseline was made from other clips or with another effort", remedy="Make it again"
        )


def _status(
    attackers: Sequence[Attacker], classifier_learned: bool, baseline: Baseline
) -> tuple[Status, tuple[str, ...]]:
    alone = [a for a in attackers if a.family != COMMITTEE]
    rising = [a for a in alone if not a.plateau]
    refused = tuple(
        f"canary '{c.name}': normalized leakage must be {c.expected}, got {_found(c.leakage_normalized)}"
        for c in baseline.canaries
        if not c.passed
    )
    bounds = _less_than_usual(baseline.effort)
    if rising:
        names = ", ".join(dict.fromkeys(f"{a.family} ({a.start})" for a in rising))
        bounds.append(f"{len(rising)} of {len(alone)} attackers were still improving at their last step: {names}")
    if classifier_learned:
        task = TASKS[baseline.effort.task]
        rule = f"the {task.network} was still improving at its last step, so the {task.objective} is a lower bound"
        bounds.append(rule)
    status: Status = "REFUSED" if refused else "LOWER_BOUND" if bounds else "CERTIFIED"
    return status, (*refused, *bounds)


def _less_than_usual(effort: AuditRecipe) -> list[str]:
    """Return a reason per setting below its default. With fewer or closer looks, a plateau is weaker evidence."""
    usual = AuditRecipe()
    found = [
        f"{name} is {getattr(effort, name)}, below the default of {getattr(usual, name)}"
        for name in ("num_seeds", "check_steps", "patience", "width", "reconstruction_steps", "num_bootstraps")
        if getattr(effort, name) < getattr(usual, name)
    ]
    missing = [name for name in usual.attackers if name not in effort.attackers]
    return [*found, *([f"attackers left out: {', '.join(missing)}"] if missing else [])]


def _found(normalized: float) -> str:
    return f"{normalized:z.3f}" if math.isfinite(normalized) else "none, because raw clips leak nothing"


def _normalized(value: float, floor: float, ceiling: float) -> float:
    return (value - floor) / (ceiling - floor) if ceiling > floor else math.nan


def _recognizer(lab: Lab, baseline: Baseline) -> nn.Module:
    """Restore the network that is best on raw clips."""
    family, seed = baseline.recognizer
    built = lab.build(find(family))
    assert isinstance(built, nn.Module)
    return _restored(built, baseline.weights[family, seed], lab.device)


def _strongest_network(attacks: Sequence[Attack]) -> nn.Module:
    """Return the strongest network that takes only frames, so that it can also read raw clips."""
    network = strongest([a for a in attacks if a.network is not None and not a.inputs]).network
    assert network is not None
    return network


def _restored(network: nn.Module, weights: Weights, device: torch.device) -> nn.Module:
    network.load_state_dict(weights)
    return network.to(device)


def _linkage(
    lab: Lab, raw: Splits, changed: Splits, recognizer: nn.Module, best: nn.Module
) -> dict[Literal["raw to anonymized", "anonymized to anonymized"], Linkage]:
    """Measure how well test clips find training clips, which share no group with them.

    An embedding is the input of a network's last layer, or the network's logits. Logits of two networks have the same
    meaning, so one try embeds raw clips with the recognizer and anonymized clips with the strongest attacker. The best
    embedding counts, so linkage errs on the high side.
    """
    query = changed["test"]
    own = [(network, embed) for network in (recognizer, best) for embed in (lab.features, lab.predict)]
    tries: dict[Literal["raw to anonymized", "anonymized to anonymized"], tuple[ClipSet, list[tuple[Floats, Floats]]]]
    tries = {
        "raw to anonymized": (
            raw["train"],
            [
                *((embed(network, raw["train"]), embed(network, query)) for network, embed in own),
                (lab.predict(recognizer, raw["train"]), lab.predict(best, query)),
            ],
        ),
        "anonymized to anonymized": (
            changed["train"],
            [(embed(network, changed["train"]), embed(network, query)) for network, embed in own],
        ),
    }
    found: dict[Literal["raw to anonymized", "anonymized to anonymized"], Linkage] = {}
    for name, (gallery, embedded) in tries.items():
        private = one_per_clip(gallery).private, one_per_clip(query).private
        links = [link(there, here, *private) for there, here in embedded]
        known = [one for one in links if one is not None]
        if known:
            found[name] = max(known, key=lambda one: one.mean_ap)
    return found


def _distortion(raw: ClipSet, changed: ClipSet, batch_clips: int) -> float:
    """Return the mean RMS difference between raw and anonymized clips, in [0, 1]."""
    pairs = (epoch_batches(clips, batch_clips, 0, 0, shuffle=False) for clips in (raw, changed))
    each = [(a.clips - b.clips).flatten(1).square().mean(dim=1).sqrt() for a, b in zip(*pairs, strict=True)]
    return float(torch.cat(each).mean())
