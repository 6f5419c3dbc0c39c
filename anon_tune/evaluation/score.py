"""The score of a frozen anonymizer: how well fresh attackers and a fresh classifier do on its output.

Shapes: N clips of a split, T frames, C channels, H height, W width, A attributes, K actions.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anon_tune.attackers import AttackerInputs, AttackerSpec
from anon_tune.clips import Clips, ClipSet, epoch_batches, one_per_clip, spread_windows
from anon_tune.evaluation.committee import committee
from anon_tune.evaluation.effort import Effort
from anon_tune.evaluation.lab import Attack, Lab, strongest
from anon_tune.evaluation.metrics import (
    average_precisions,
    bootstrap_interval,
    class_mean_ap,
    prevalence,
)
from anon_tune.evaluation.raw_networks import NOT_TRAINED, RawNetworks
from anon_tune.evaluation.utility_metric import beside_value, utility_floor, utility_value
from anon_tune.networks import Anonymizer
from anon_tune.recipe import EvaluationRecipe, UtilityRecipe
from anon_tune.training.anomaly import with_task_labels
from anon_tune.trial import Ceilings, Reading, Score
from anon_tune.utility_task import TASKS

_ACTIONS = UtilityRecipe()
Floats = NDArray[np.float64]
Statistic = Callable[[Floats, NDArray[np.int64], ClipSet], float]


def measure(
    anonymizer: Anonymizer,
    clips: Clips,
    recipe: EvaluationRecipe,
    full: bool,
    ceilings: Ceilings | None,
    device: torch.device,
    extra_attackers: Sequence[str | AttackerSpec] = (),
    attacker_inputs: AttackerInputs | None = None,
    raw: RawNetworks = NOT_TRAINED,
    utility: UtilityRecipe = _ACTIONS,
) -> Score:
    """Measure leakage and accuracy of a frozen anonymizer.

    Every split is anonymized once, clamped and quantized to uint8. Attackers and the classifier are trained on the
    training split with a fixed effort, from scratch or further from raw-trained weights, and a full score adds the
    committee of the attackers. A full score is read on the test split, and also on the validation split, by which
    trials are selected. A rung score is read on the validation split only. Leakage is the largest cMAP among the
    attackers on the split that is read, so it errs on the high side. An audit does the same with more effort and more
    seeds, see `certify`. If the store holds several windows of each clip, attackers learn on them in random order, and
    what an attacker says of a clip is the mean over the windows of the clip.

    Args:
        anonymizer: f_A; put in eval mode.
        clips: A clip store with the splits train, val and, for a full score, test.
        recipe: Efforts, number of windows and bootstraps, seed and more.
        full: True for a full score, False for a rung score.
        ceilings: Values on raw clips at the same effort; None if the anonymizer is the identity, which sets them.
        device: Where to compute.
        extra_attackers: Attackers of the method itself, in addition to those of the recipe.
        attacker_inputs: Returns what attackers get besides the frames; None for nothing.
        raw: Weights of networks that were trained on raw clips, see `raw_networks`.
        utility: The utility task.

    Raises:
        RecipeError: An attacker has an unknown name.
        DataError: An attacker does not get what it needs besides the frames.

    Source:
        Fresh attackers of several kinds and their maximum as in VITA (arXiv:1906.05675); floors,
        ceilings and intervals are ours.
    """
    start = time.monotonic()
    effort = Effort.of_study(recipe, full, extra_attackers, utility)
    with tempfile.TemporaryDirectory(prefix="anon-tune-") as scratch:
        names = ("train", "val", "test") if full else ("train", "val")
        raw_splits = {
            n: spread_windows(with_task_labels(utility.task, clips.split(n)), recipe.num_windows) for n in names
        }
        made = {
            n: anonymize_split(anonymizer, split, Path(scratch) / n, recipe.batch_clips, device, attacker_inputs)
            for n, split in raw_splits.items()
        }
        lab = Lab({name: one.clips for name, one in made.items()}, effort, device)
        score = _score(lab, made, clips, recipe, full, ceilings, raw)
    return replace(score, seconds=time.monotonic() - start)


def _score(
    lab: Lab,
    made: Mapping[str, AnonymizedSplit],
    clips: Clips,
    recipe: EvaluationRecipe,
    full: bool,
    ceilings: Ceilings | None,
    raw: RawNetworks,
) -> Score:
    """Train attackers and classifier on anonymized splits and read them; the caller fills in ``seconds``."""
    splits, read = {name: one_per_clip(rows) for name, rows in lab.splits.items()}, "test" if full else "val"
    task = lab.effort.task
    attacks = list(lab.attacks([recipe.seed], raw.attackers))
    trained = [attack for attack in attacks if attack.start != "frozen"]
    if full and len(trained) > 1:
        attacks.append(committee(trained, splits["val"], splits["test"]))
    best = strongest(attacks, read)
    network, _ = lab.classifier(len(clips.actions), raw.classifier)
    classifier = {name: lab.predict(network, rows) for name, rows in lab.splits.items() if name != "train"}
    leakage = _reading(
        lambda scores, at, split: class_mean_ap(scores[at], split.private[at]),
        best.scores,
        splits,
        read,
        floor=prevalence(splits[read].private),
        ceiling=None if ceilings is None else ceilings.leakage,
        recipe=recipe,
    )
    accuracy = _reading(
        lambda scores, at, split: utility_value(task, scores, split, at),
        classifier,
        splits,
        read,
        floor=utility_floor(task, splits["train"], splits[read]),
        ceiling=None if ceilings is None else ceilings.accuracy,
        recipe=recipe,
    )
    beside = {}
    if name := TASKS[task].beside:
        ceiling = None if ceilings is None else ceilings.beside.get(name)
        inside: Statistic = lambda scores, at, split: beside_value(scores, split, at)  # noqa: E731
        beside[name] = _reading(inside, classifier, splits, read, floor=0.5, ceiling=ceiling, recipe=recipe)
    precisions = average_precisions(best.scores[read], splits[read].private)
    return Score(
        full=full,
        leakage=replace(leakage, validation=max(attack.values["val"] for attack in attacks)),
        accuracy=accuracy,
        attackers=_by_family(attacks, read),
        attributes=dict(zip(clips.attributes, precisions.tolist(), strict=True)),
        distortion=made[read].distortion,
        num_train_clips=len(splits["train"]),
        num_test_clips=len(splits[read]),
        seed=recipe.seed,
        seconds=math.nan,
        seconds_per_frame=_seconds_per_frame(list(made.values())),
        task=task,
        beside=beside,
    )


def _by_family(attacks: Sequence[Attack], split: str) -> dict[str, float]:
    """Return the cMAP of the strongest attacker of each family on a split."""
    families = dict.fromkeys(attack.family for attack in attacks)
    return {name: strongest([a for a in attacks if a.family == name], split).values[split] for name in families}


def _seconds_per_frame(splits: list[AnonymizedSplit]) -> float:
    num_frames: int = sum(split.clips.frames.shape[0] * split.clips.frames.shape[1] for split in splits)
    return sum(split.seconds for split in splits) / num_frames


@dataclass(frozen=True, slots=True)
class AnonymizedSplit:
    """A split after the anonymizer.

    Attributes:
        clips: The anonymized clips, as a file would hold them.
        distortion: Mean RMS difference to the raw clips, in [0, 1].
        seconds: Wall time of the anonymizer itself, without reading, copying to the device, rounding and writing.
    """

    clips: ClipSet
    distortion: float
    seconds: float


@torch.no_grad()
def anonymize_split(
    anonymizer: Anonymizer,
    raw: ClipSet,
    path: Path,
    batch_clips: int,
    device: torch.device,
    attacker_inputs: AttackerInputs | None = None,
) -> AnonymizedSplit:
    """Anonymize a split and write its clips as a video file could hold them: clamped and rounded to uint8.

    Args:
        anonymizer: f_A; put in eval mode.
        raw: The split.
        path: The memory-mapped file to write, (N,T,H,W,C) uint8. It must outlive the result.
        batch_clips: Clips per batch.
        device: Where to compute.
        attacker_inputs: Returns what attackers get besides the frames; None for nothing.
    """
    anonymizer.to(device).eval()
    frames = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=raw.frames.shape)
    given: dict[str, list[Tensor]] = {}
    total, seconds, row = 0.0, 0.0, 0
    for batch in epoch_batches(raw, batch_clips, 0, 0, shuffle=False):
        clips = batch.clips.to(device)
        start = _now(device)
        altered = anonymizer(clips, raw.points_at(range(row, row + len(clips))))
        seconds += _now(device) - start
        levels = (altered.clamp(0, 1) * 255).round().to(torch.uint8).cpu()
        difference = levels.float() / 255 - batch.clips
        total += float(difference.flatten(1).square().mean(dim=1).sqrt().sum())
        frames[row : row + len(levels)] = levels.permute(0, 1, 3, 4, 2).numpy()
        row += len(levels)
        for name, values in attacker_inputs(anonymizer, clips).items() if attacker_inputs else ():
            given.setdefault(name, []).append(values.float().cpu())
    inputs = {name: torch.cat(parts).numpy() for name, parts in given.items()}
    made = replace(raw, frames=frames, windows=None, inputs=inputs, keypoints=None)
    return AnonymizedSplit(made, total / len(raw), seconds)


def _now(device: torch.device) -> float:
    """Return a time in seconds. A GPU works in the background, so wait first until it is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _reading(
    statistic: Statistic,
    scores: Mapping[str, Floats],
    splits: Mapping[str, ClipSet],
    read: str,
    floor: float,
    ceiling: float | None,
    recipe: EvaluationRecipe,
) -> Reading:
    """Compute a statistic and its interval on one split, and the same statistic on the validation split."""
    split, val = splits[read], splits["val"]
    value = statistic(scores[read], np.arange(len(split)), split)
    low, high = bootstrap_interval(
        lambda at: statistic(scores[read], at, split), len(split), recipe.num_bootstraps, recipe.confidence, recipe.seed
    )
    return Reading(
        value=value,
        floor=floor,
        ceiling=value if ceiling is None else ceiling,
        low=low,
        high=high,
        validation=statistic(scores["val"], np.arange(len(val)), val),
    )
