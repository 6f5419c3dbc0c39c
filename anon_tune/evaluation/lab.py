"""The lab: trains attackers and classifiers for a study's score and for a certificate alike.

Rows of a split may be windows of clips, see `spread_windows`. Networks and attackers learn on the rows in random order;
what they say of a clip is the mean over its windows.

Shapes: B clips, N clips of a split, M rows of it, A attributes, K actions, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from anon_tune import certificate
from anon_tune.attackers import Attacker, AttackerSpec, Fit, Setting
from anon_tune.attackers.named import LARGE_NETWORK_LR
from anon_tune.attackers.spec import MANY_CLIPS
from anon_tune.clips import ClipSet, mean_of_windows, one_per_clip
from anon_tune.errors import AnonTuneError, DataError
from anon_tune.evaluation.augmentation import AS_THEY_ARE, Augmentation
from anon_tune.evaluation.effort import Effort
from anon_tune.evaluation.metrics import Floats, class_mean_ap
from anon_tune.evaluation.network_attacker import Target, fit, predict, score_private
from anon_tune.evaluation.stop_rules import StopRule
from anon_tune.evaluation.utility_metric import SegmentReader, utility_value
from anon_tune.networks.backbones import clip_classifier
from anon_tune.networks.clip_readers import ClipReader, depth_for
from anon_tune.recipe.measuring import SMALL_CLASSIFIER
from anon_tune.utility_task import ANOMALY, TASKS

Weights = Mapping[str, Tensor]
RawWeights = Mapping[tuple[str, int], Weights]
"""Weights of attackers trained on raw clips, by family and seed."""

Start = Literal["fresh", "raw", "frozen"]
PieceProgress = Callable[[str, int, int], None]
"""Called with the current task, the number of pieces done and the total number."""


class Pieces:
    """Counts the pieces of a long task, and reports progress before each of them."""

    def __init__(self, progress: PieceProgress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def begin(self, what: str) -> None:
        """Report that the next piece begins."""
        self._progress(what, self._done, self._total)
        self._done += 1

    def end(self) -> None:
        """Report that all pieces are done."""
        self._progress("done", self._total, self._total)


@dataclass(frozen=True, slots=True, eq=False)
class Attack:
    """A fitted attacker and its scores.

    Attributes:
        family: The attacker's name, or ``committee``.
        start: Which weights it started from.
        seed: Seed of its weights and of the order of its clips.
        fit: How its training ended.
        scores: Scores (N,A) on every split it was not trained on.
        values: cMAP on each of these splits.
        network: The network, in eval mode; for a committee, that of its best member; None if it is not a network.
        inputs: Names of what the network gets besides the frames.
    """

    family: str
    start: Start
    seed: int
    fit: Fit
    scores: Mapping[str, Floats]
    values: Mapping[str, float]
    network: nn.Module | None
    inputs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Family, start and seed."""
        return f"{self.family}, {self.start}, seed {self.seed}"

    @property
    def record(self) -> certificate.Attacker:
        """The attacker's entry in a certificate."""
        return certificate.Attacker(
            family=self.family,
            start=self.start,
            seed=self.seed,
            leakage=self.values["test"],
            validation=self.values["val"],
            step=self.fit.step,
            plateau=self.fit.plateau,
            curve=self.fit.curve,
        )


class Lab:
    """Trains attackers and classifiers on one set of clips; every result is a pure function of its seed.

    Args:
        splits: Clips of train, val and, for a full measurement, test; rows may be windows. Nothing is trained on test.
        effort: Which attackers are tried, and how long they may train.
        device: Where to compute.
        pieces: Counts every training; None to report no progress.
    """

    def __init__(
        self, splits: Mapping[str, ClipSet], effort: Effort, device: torch.device, pieces: Pieces | None = None
    ) -> None:
        self.splits, self.effort, self.device, self.pieces = splits, effort, device, pieces

    def attacks(self, seeds: Sequence[int], raw: RawWeights) -> Iterator[Attack]:
        """Yield every attacker with every seed: trained from scratch, trained further from raw clips, and frozen."""
        for spec in self.attackers:
            chosen = self.effort.fresh is None or spec.name in self.effort.fresh
            for seed in seeds:
                weights = raw.get((spec.name, seed))
                if weights is None or chosen:
                    yield self.attack(spec, "fresh", seed)
                if weights is not None:
                    if self.effort.fresh is None or not chosen:
                        yield self.attack(spec, "raw", seed, weights)
                    yield self.attack(spec, "frozen", seed, weights)

    @property
    def attackers(self) -> tuple[AttackerSpec, ...]:
        """Those of the effort that suit the number of clips."""
        return tuple(spec for spec in self.effort.attackers if not (spec.few_clips and self._has_many_clips))

    @property
    def _has_many_clips(self) -> bool:
        positives: float = one_per_clip(self.splits["train"]).private.sum(axis=0).mean()
        return positives >= MANY_CLIPS

    def attack(self, spec: AttackerSpec, start: Start, seed: int, weights: Weights | None = None) -> Attack:
        """Train one attacker, unless it is frozen, and evaluate it on the splits it was not trained on.

        Raises:
            DataError: The clips lack something that the attacker needs besides the frames.
            AnonTuneError: The attacker returns scores of a wrong shape.
        """
        train = self.splits["train"]
        if missing := [name for name in spec.inputs if name not in train.inputs]:
            rule = f"needs {', '.join(spec.inputs)} besides the frames"
            remedy = "Leave the attacker out, or measure a method that provides this"
            raise DataError(f"attacker '{spec.name}'", rule, f"no {', '.join(missing)}", remedy)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            built = self.build(spec)
            if isinstance(built, nn.Module) and weights is not None:
                built.load_state_dict(weights)
            fitted = Fit()
            if start != "frozen":
                self._tell(f"attacker: {spec.name}, {start}, seed {seed}")
                fitted = self._fit_attacker(built, spec, start, seed)
        network = built.to(self.device) if isinstance(built, nn.Module) else None
        known = {} if fitted.validation is None else {"val": fitted.validation}
        scores = {
            name: self._checked(known[name] if name in known else self._said(built, spec, clips), spec, clips)
            for name, clips in self.splits.items()
            if name != "train"
        }
        values = {name: class_mean_ap(said, one_per_clip(self.splits[name]).private) for name, said in scores.items()}
        return Attack(spec.name, start, seed, fitted, scores, values, network, spec.inputs)

    def build(self, spec: AttackerSpec) -> nn.Module | Attacker:
        """Build an attacker with fresh weights."""
        train = self.splits["train"]
        _, num_frames, height, width, _ = train.frames.shape
        shape = num_frames, height, width
        weights = self.effort.files.get(spec.name)
        return spec.build(Setting(train.private.shape[1], self.effort.width, shape, weights))

    def classifier(self, num_actions: int, weights: Weights | None = None) -> tuple[nn.Module, Fit]:
        """Train a network for the utility task, from weights if they are given; also return how training ended."""
        what = TASKS[self.effort.task].network
        self._tell(what if weights is None else f"{what}, raw")
        with torch.random.fork_rng():
            torch.manual_seed(self.effort.seed)
            network = self.build_classifier(num_actions)
            if weights is not None:
                network.load_state_dict(weights)
            large = self.effort.classifier != SMALL_CLASSIFIER
            fitted = self._fit(
                network,
                "anomaly" if self.effort.task == ANOMALY.name else "action",
                self.effort.classify,
                self.effort.seed,
                max_lr=LARGE_NETWORK_LR if large else 1.0,
            )
        return network, fitted

    def better_classifier(self, networks: Sequence[nn.Module], val: ClipSet, test: ClipSet) -> Floats:
        """Return the logits (N,K) or (N,S) on the test split of the network that is best on the validation split."""
        task, each = self.effort.task, one_per_clip(val)
        best = max(networks, key=lambda network: utility_value(task, self.predict(network, val), each))
        return self.predict(best, test)

    def build_classifier(self, num_actions: int) -> nn.Module:
        """Build a network for the utility task with fresh weights."""
        if self.effort.task == ANOMALY.name:
            return SegmentReader(self._clip_network(1), self.effort.segments)
        return self._clip_network(num_actions)

    def _clip_network(self, num_outputs: int) -> nn.Module:
        name = self.effort.classifier
        if name != SMALL_CLASSIFIER:
            return clip_classifier(name, num_outputs, self.effort.files.get(name))
        _, _, height, width, _ = self.splits["train"].frames.shape
        return ClipReader(num_outputs, self.effort.width, depth_for(height, width))

    def predict(self, network: nn.Module, clips: ClipSet, inputs: Sequence[str] = ()) -> Floats:
        """Return logits (N,A), (N,K) or (N,S)."""
        logits = predict(network, clips, self.effort.batch_clips, self.device, inputs).numpy()
        return mean_of_windows(logits, clips)

    def score_private(self, network: nn.Module, spec: AttackerSpec, clips: ClipSet) -> Floats:
        """Return the scores (M,A) of an attacker's network."""
        effort, augmentation = self.effort, self._augmentation(spec)
        return score_private(network, clips, effort.batch_clips, self.device, augmentation, spec.inputs).numpy()

    def score_clips(self, network: nn.Module, spec: AttackerSpec, clips: ClipSet) -> Floats:
        """Return the scores (N,A) of an attacker's network, averaged over the windows of each clip."""
        return mean_of_windows(self.score_private(network, spec, clips), clips)

    def _augmentation(self, spec: AttackerSpec) -> Augmentation:
        """Return the random views of an attacker; none if clips are many, because views then only slow it down."""
        if self._has_many_clips and not spec.always_views:
            return AS_THEY_ARE
        _, _, height, width, _ = self.splits["train"].frames.shape
        return Augmentation(round(spec.max_shift * min(height, width)), spec.mirrors, spec.pictures)

    def features(self, network: nn.Module, clips: ClipSet) -> Floats:
        """Return the input of a network's last linear layer, (N,D), averaged over parts and windows of each clip."""
        last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
        tapped = _Tapped(network, last)
        try:
            return self.predict(tapped, clips)
        finally:
            tapped.release()

    def _tell(self, what: str) -> None:
        if self.pieces is not None:
            self.pieces.begin(what)

    def _fit_attacker(self, built: nn.Module | Attacker, spec: AttackerSpec, start: Start, seed: int) -> Fit:
        if not isinstance(built, nn.Module):
            return built.fit(self.splits["train"], self.splits["val"], seed)
        rule = self.effort.further if start == "raw" else self.effort.attack
        return self._fit(built, "private", rule, seed, self._augmentation(spec), spec.inputs, spec.max_lr)

    def _fit(
        self,
        network: nn.Module,
        target: Target,
        rule: StopRule,
        seed: int,
        augmentation: Augmentation = AS_THEY_ARE,
        inputs: Sequence[str] = (),
        max_lr: float = 1.0,
    ) -> Fit:
        train, val, effort = self.splits["train"], self.splits["val"], self.effort
        lr = min(effort.lr, max_lr)
        return fit(network, train, val, target, rule, effort.batch_clips, lr, seed, self.device, augmentation, inputs)

    def _said(self, built: nn.Module | Attacker, spec: AttackerSpec, clips: ClipSet) -> Floats:
        return self.score_private(built, spec, clips) if isinstance(built, nn.Module) else built.predict(clips)

    def _checked(self, said: Floats, spec: AttackerSpec, clips: ClipSet) -> Floats:
        """Return the scores of clips (N,A), given those of the rows of a split (M,A)."""
        scores = np.asarray(said, dtype=np.float64)
        if scores.shape != clips.private.shape:
            rule = f"must return scores of shape {clips.private.shape}"
            raise AnonTuneError(
                f"attacker '{spec.name}'", rule, str(scores.shape), "Correct the attacker, or leave it out"
            )
        return mean_of_windows(scores, clips)


class _Tapped(nn.Module):
    """A network that returns the input of one of its layers."""

    def __init__(self, network: nn.Module, layer: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._seen: list[Tensor] = []
        self._hook = layer.register_forward_pre_hook(lambda _, inputs: self._seen.append(inputs[0]))

    def forward(self, clips: Tensor) -> Tensor:
        """Map clips (B,T,C,H,W) to features (B,D)."""
        self._seen.clear()
        self.network(clips)
        apart = self._seen[0].unflatten(0, (len(clips), -1))
        return torch.mean(apart, dim=1)

    def release(self) -> None:
        """Leave the network as it was."""
        self._hook.remove()


def strongest(attacks: Sequence[Attack], split: str = "test") -> Attack:
    """Return the attacker with the largest cMAP on a split, and the first of equals.

    The maximum over several attackers errs on the high side, as leakage must. Ceilings are the maximum over the same
    attackers on raw clips, so that the normalized leakage stays fair.
    """
    return max(attacks, key=lambda attack: attack.values[split])
