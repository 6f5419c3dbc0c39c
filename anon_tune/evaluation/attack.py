"""The attackers of an audit: fresh ones, ones that start from raw-trained weights, and those as they are.

Shapes: B clips, N clips of a split, A attributes, K actions, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from anon_tune.certificate import Attacker
from anon_tune.clips import ClipSet
from anon_tune.evaluation.attackers import ClipAttacker, Target, build_attacker, predict
from anon_tune.evaluation.metrics import Floats, class_mean_ap
from anon_tune.evaluation.plateau import Fit, fit_until_plateau
from anon_tune.recipe import AuditRecipe

Weights = Mapping[str, Tensor]
RawWeights = Mapping[tuple[str, int], Weights]
"""Weights of attackers trained on raw clips, by family and seed."""

# Shifts teach that it matters little where something moves. What looks at whole frames learns without them, as
# a trained anonymizer may hide what it keeps at one place.
_SHIFTED, _SHIFT = ("motion",), 1

Start = Literal["fresh", "raw", "frozen"]
Progress = Callable[[str, int, int], None]
"""Told what is being done, how many pieces are done and how many there are."""


class Pieces:
    """Counts the pieces of a long piece of work, and tells before each."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def begin(self, what: str) -> None:
        """Tell that the next piece begins."""
        self._progress(what, self._done, self._total)
        self._done += 1

    def end(self) -> None:
        """Tell that all pieces are done."""
        self._progress("done", self._total, self._total)


@dataclass(frozen=True, slots=True, eq=False)
class Attack:
    """A trained attacker and what it said.

    Attributes:
        record: As it stands in a certificate.
        network: In eval mode; of a committee, its best member's.
        val: Scores on the validation split (N,A).
        test: Scores on the test split (N,A).
    """

    record: Attacker
    network: nn.Module
    val: Floats
    test: Floats

    @property
    def name(self) -> str:
        """Family, start and seed."""
        return f"{self.record.family}, {self.record.start}, seed {self.record.seed}"


class Lab:
    """Trains attackers and classifiers on one set of clips; every result is a pure function of its seed.

    Args:
        splits: Clips of train, val and test. Nothing learns from test.
        effort: What an attacker may spend.
        device: Where to compute.
        pieces: Told of every training.
    """

    def __init__(
        self, splits: Mapping[str, ClipSet], effort: AuditRecipe, device: torch.device, pieces: Pieces
    ) -> None:
        self.splits, self.effort, self.device, self.pieces = splits, effort, device, pieces

    def attacks(self, seeds: Sequence[int], raw: RawWeights) -> Iterator[Attack]:
        """Yield the attackers of every family and seed: fresh, and for raw-trained weights, trained on and frozen."""
        for family in self.effort.families:
            for seed in seeds:
                yield self.attack(family, "fresh", seed)
                if (family, seed) in raw:
                    yield self.attack(family, "raw", seed, raw[family, seed])
                    yield self.attack(family, "frozen", seed, raw[family, seed])

    def attack(self, family: str, start: Start, seed: int, weights: Weights | None = None) -> Attack:
        """Train one attacker, unless it is frozen, and read it on the validation and the test split."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = build_attacker(family, self.splits["train"].private.shape[1], self.effort.width)
            if weights is not None:
                network.load_state_dict(weights)
            fit = None
            if start != "frozen":
                self.pieces.begin(f"attacker: {family}, {start}, seed {seed}")
                shift = _SHIFT if family in _SHIFTED else 0
                fit = self._fit(network, "private", self.effort.max_steps, seed, shift)
        network.to(self.device)
        val, test = (self.predict(network, self.splits[name]) for name in ("val", "test"))
        record = Attacker(
            family=family,
            start=start,
            seed=seed,
            leakage=class_mean_ap(test, self.splits["test"].private),
            validation=class_mean_ap(val, self.splits["val"].private),
            step=fit.step if fit else 0,
            plateau=fit.plateau if fit else True,
            curve=fit.curve if fit else (),
        )
        return Attack(record, network, val, test)

    def classifier(self, num_actions: int) -> tuple[nn.Module, bool]:
        """Train an action classifier until its plateau; also return whether it still learned at its last step."""
        self.pieces.begin("action classifier")
        with torch.random.fork_rng():
            torch.manual_seed(self.effort.seed)
            network = ClipAttacker(num_actions, self.effort.width)
            fit = self._fit(network, "action", self.effort.classifier_steps, self.effort.seed)
        return network, not fit.plateau

    def predict(self, network: nn.Module, clips: ClipSet) -> Floats:
        """Return logits (N,A) or (N,K)."""
        return predict(network, clips, self.effort.batch_clips, self.device).numpy()

    def features(self, network: nn.Module, clips: ClipSet) -> Floats:
        """Return what the last layer of a network sees of each clip (N,D), the mean over what it sees apart."""
        last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
        tapped = _Tapped(network, last)
        try:
            return self.predict(tapped, clips)
        finally:
            tapped.release()

    def _fit(self, network: nn.Module, target: Target, max_steps: int, seed: int, shift: int = 0) -> Fit:
        train, val = self.splits["train"], self.splits["val"]
        return fit_until_plateau(network, train, val, target, max_steps, self.effort, seed, self.device, shift)


class _Tapped(nn.Module):
    """A network that gives what goes into one of its layers."""

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


def strongest(attacks: Sequence[Attack]) -> Attack:
    """Return the attacker of the largest cMAP on the test split.

    The largest of several errs on the high side, as leakage must; ceilings are the largest of the same
    set of attackers on raw clips, so that the normalized leakage stays fair.
    """
    return max(attacks, key=lambda attack: attack.record.leakage)
