"""Times the parts of a measurement on some clips, and says how long a whole measurement takes.

Shapes: N clips of a split.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from anon_tune.attackers import AttackerInputs, AttackerSpec
from anon_tune.attackers.spec import MANY_CLIPS
from anon_tune.clips import Clips, ClipSet, spread_windows
from anon_tune.evaluation.effort import Effort
from anon_tune.evaluation.lab import Lab
from anon_tune.evaluation.metrics import bootstrap_interval, class_mean_ap
from anon_tune.evaluation.raw_networks import weights_on_cpu
from anon_tune.evaluation.score import anonymize_split
from anon_tune.evaluation.stop_rules import FixedSteps
from anon_tune.networks import Anonymizer
from anon_tune.recipe import EvaluationRecipe, UtilityRecipe
from anon_tune.training.anomaly import with_task_labels

SPLITS = ("train", "val", "test")
_TIMED_BYTES = 32 * 2**20  # clips of each split that are timed, unless two batches are more
_TIMED_STEPS = 3
_ACTIONS = UtilityRecipe()


@dataclass(frozen=True, slots=True)
class MeasuringTimes:
    """Seconds of measurements of one anonymizer.

    Attributes:
        rung_s: A rung score.
        full_s: A full score.
        raw_s: Training of the networks on raw clips, once per study.
    """

    rung_s: float
    full_s: float
    raw_s: float


@dataclass(frozen=True, slots=True)
class _Trained:
    """What one network or attacker takes.

    Attributes:
        step_s: Seconds of an optimizer step; 0 if it fits itself.
        fit_s: Seconds of the fit to the whole training split; 0 if it is trained in steps.
        read_s: Seconds to predict for one clip.
    """

    step_s: float
    fit_s: float
    read_s: float


def time_measuring(
    anonymizer: Anonymizer,
    clips: Clips,
    recipe: EvaluationRecipe,
    device: torch.device,
    scratch: Path,
    extra_attackers: Sequence[str | AttackerSpec] = (),
    attacker_inputs: AttackerInputs | None = None,
    utility: UtilityRecipe = _ACTIONS,
) -> MeasuringTimes:
    """Time every part of a measurement once, on few steps and few clips, and add the parts up for all clips.

    Args:
        anonymizer: f_A; put in eval mode.
        clips: The clip store, whose splits set how often each part is done.
        recipe: The attackers and their effort.
        device: Where to compute.
        scratch: An empty folder for the anonymized clips.
        extra_attackers: Attackers of the method itself.
        attacker_inputs: As in `measure`.
        utility: The utility task.
    """
    whole = {name: with_task_labels(utility.task, clips.split(name)) for name in SPLITS}
    sample = {name: _some(split, recipe.batch_clips) for name, split in whole.items()}
    some = {name: spread_windows(split, recipe.num_windows) for name, split in sample.items()}
    anonymize_split(anonymizer, _first(some["val"], recipe.batch_clips), scratch / "first", recipe.batch_clips, device)
    made, begun = {}, time.perf_counter()
    for name, split in some.items():
        done = anonymize_split(anonymizer, split, scratch / name, recipe.batch_clips, device, attacker_inputs)
        made[name] = done.clips
    anonymize_s = (time.perf_counter() - begun) / sum(map(len, some.values()))
    counts = {name: len(split) * some[name].num_windows for name, split in whole.items()}
    positives = float(whole["train"].private.sum(axis=0).mean())
    timer = _Timer(recipe, made, counts, device, positives, extra_attackers, utility)
    return MeasuringTimes(
        rung_s=timer.score(full=False) + anonymize_s * (counts["train"] + counts["val"]),
        full_s=timer.score(full=True) + anonymize_s * sum(counts.values()),
        raw_s=timer.raw(),
    )


class _LabOfSample(Lab):
    """A lab on a sample of clips, in which clips count as many if all clips together do.

    Args:
        splits: The sample.
        effort: As for `Lab`.
        device: Where to compute.
        positives: Mean number of positive clips per attribute of the whole training split.
    """

    def __init__(self, splits: Mapping[str, ClipSet], effort: Effort, device: torch.device, positives: float) -> None:
        super().__init__(splits, effort, device)
        self._positives = positives

    @property
    def _has_many_clips(self) -> bool:
        return self._positives >= MANY_CLIPS


class _Timer:
    """Times attackers and classifier, each when it is first asked for, and adds up what a score needs of them."""

    def __init__(
        self,
        recipe: EvaluationRecipe,
        splits: Mapping[str, ClipSet],
        counts: Mapping[str, int],
        device: torch.device,
        positives: float,
        extra: Sequence[str | AttackerSpec],
        utility: UtilityRecipe,
    ) -> None:
        self._recipe, self._splits, self._counts, self._device = recipe, splits, counts, device
        self._positives, self._extra, self._utility = positives, extra, utility
        self._attackers: dict[str, _Trained] = {}
        self._classifier: _Trained | None = None

    def score(self, full: bool) -> float:
        """Return the seconds of a score without anonymizing."""
        effort, read = (self._recipe.full, ("val", "test")) if full else (self._recipe.rung, ("val",))
        num_read = sum(self._counts[name] for name in read)
        kept = {spec.name for spec in self._lab(full=True, extra=()).attackers}
        total = 0.0
        for spec in self._lab(full, self._extra).attackers:
            took = self._attacker(spec)
            has_raw = spec.name in kept and took.step_s > 0
            if not has_raw or spec.name in effort.fresh:
                total += took.fit_s + took.step_s * effort.attacker_steps + took.read_s * num_read
            else:
                total += took.step_s * effort.num_further_steps + took.read_s * num_read
            total += took.read_s * num_read if has_raw else 0.0  # the raw-trained network, not trained further
        classifier = self._action_classifier()
        total += classifier.step_s * effort.classifier_steps + classifier.read_s * num_read
        return total + self._interval_s(self._counts[read[-1]])

    def raw(self) -> float:
        """Return the seconds of training the networks of a full score on raw clips."""
        effort, num_read = self._recipe.full, self._counts["val"]
        took = [self._attacker(spec) for spec in self._lab(full=True, extra=()).attackers]
        attackers = sum(t.fit_s + t.step_s * effort.attacker_steps + t.read_s * num_read for t in took)
        return attackers + self._action_classifier().step_s * effort.classifier_steps

    def _lab(self, full: bool, extra: Sequence[str | AttackerSpec]) -> Lab:
        steps = FixedSteps(_TIMED_STEPS)
        effort = Effort.of_study(self._recipe, full, extra, self._utility)
        effort = replace(effort, attack=steps, further=steps, classify=steps)
        return _LabOfSample(self._splits, effort, self._device, self._positives)

    def _attacker(self, spec: AttackerSpec) -> _Trained:
        if spec.name not in self._attackers:
            self._attackers[spec.name] = self._timed(spec)
        return self._attackers[spec.name]

    def _timed(self, spec: AttackerSpec) -> _Trained:
        lab = self._lab(full=True, extra=self._extra)
        built = lab.build(spec)
        if not isinstance(built, nn.Module):
            seconds = _seconds(lambda: lab.attack(spec, "fresh", 0), self._device)
            return _Trained(0.0, seconds * self._counts["train"] / len(self._splits["train"]), 0.0)
        weights = weights_on_cpu(built)
        lab.attack(spec, "fresh", 0)  # the first one is slow
        read_s = _seconds(lambda: lab.attack(spec, "frozen", 0, weights), self._device)
        whole_s = _seconds(lambda: lab.attack(spec, "fresh", 0), self._device)
        return _Trained(max(whole_s - read_s, 0.0) / _TIMED_STEPS or 1e-6, 0.0, read_s / self._num_read)

    def _action_classifier(self) -> _Trained:
        if self._classifier is None:
            lab, num_actions = self._lab(full=True, extra=()), 2  # the head hardly counts
            num_actions = max(num_actions, int(self._splits["train"].actions.max()) + 1)
            network, _ = lab.classifier(num_actions)
            step_s = _seconds(lambda: lab.classifier(num_actions), self._device) / _TIMED_STEPS
            read_s = _seconds(lambda: [lab.predict(network, self._splits[n]) for n in ("val", "test")], self._device)
            self._classifier = _Trained(step_s, 0.0, read_s / self._num_read)
        return self._classifier

    @property
    def _num_read(self) -> int:
        """Clips that are predicted when a network is timed; a batch that is not full costs as much as a full one."""
        size = self._recipe.batch_clips
        return sum(-(-len(self._splits[name]) // size) * size for name in ("val", "test"))

    def _interval_s(self, num_clips: int) -> float:
        """Return the seconds of the bootstrap interval of the leakage on so many clips."""
        rng = np.random.default_rng(0)
        num_attributes = self._splits["train"].private.shape[1]
        scores, labels = rng.random((num_clips, num_attributes)), rng.integers(0, 2, (num_clips, num_attributes))

        def resample(num: int) -> None:
            bootstrap_interval(
                lambda at: class_mean_ap(scores[at], labels[at].astype(np.uint8)), num_clips, num, 0.9, 0
            )

        few = min(self._recipe.num_bootstraps, 10)
        return _seconds(lambda: resample(few), torch.device("cpu")) / few * self._recipe.num_bootstraps


def _some(split: ClipSet, batch_clips: int) -> ClipSet:
    """Return clips spread evenly over a split, or the split itself if it is small."""
    _, *shape = split.frames.shape
    most = max(2 * batch_clips, _TIMED_BYTES // int(np.prod(shape)))
    if len(split) <= most:
        return split
    return _taken(split, np.linspace(0, len(split) - 1, most).round().astype(np.int64))


def _first(split: ClipSet, num: int) -> ClipSet:
    return _taken(split, np.arange(min(num, len(split))))


def _taken(split: ClipSet, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> ClipSet:
    return replace(
        split,
        frames=split.frames[rows],
        actions=split.actions[rows],
        private=split.private[rows],
        groups=tuple(split.groups[row] for row in rows),
        ids=tuple(split.ids[row] for row in rows),
        windows=None if split.windows is None else split.windows.of(rows),
        keypoints=None if split.keypoints is None else split.keypoints[rows],
        frame_truth=None if split.frame_truth is None else split.frame_truth[rows],
        persons=None,  # they are for training only
    )


def _seconds(do: Callable[[], object], device: torch.device) -> float:
    """Return the seconds that something takes, the work of a GPU included."""
    begun = time.perf_counter()
    do()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begun
