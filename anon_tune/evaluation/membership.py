"""The audit of private training: a membership attack on canaries, within one training run.

Canaries take the place of m units of the training clips; half of them, chosen by coins, are in, and the others are
nothing. A canary is a unit whose gradient is large and points along one weight, so it is clipped to the full norm. The
attacker sees every noised gradient, as the proof allows, and guesses which canaries were in. If training keeps its
epsilon, only so many guesses are likely to be right.

Shapes: m canaries, B clips of a batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anon_tune.accounting import canary_epsilon
from anon_tune.certificate import Certificate, Membership
from anon_tune.clips import Clips, PoissonBatch
from anon_tune.methods import build_anonymizer, trainer_of
from anon_tune.recipe import Recipe
from anon_tune.training import PrivateTrainer
from anon_tune.training.private_gradients import ClipLoss

NUM_CANARIES = 256
"""With so many, a perfect attacker refutes an epsilon of about 3.3; a larger claim cannot be refuted."""

_CLIP, _NOT_IN = -1, -2
_STEEP = 1e6  # norm of the gradient of a canary before it is clipped


class _AuditedTrainer(PrivateTrainer):
    """Trains as its parent does, on clips some of which are canaries, and keeps what the attacker sees of each.

    The loss of a canary is one weight of the network that learns, times a large number, and that of a canary that is
    not in is 0. So a canary is drawn, clipped, added up and noised as every other unit.
    """

    numbers: Mapping[str, int] = MappingProxyType({})
    num_canaries = 0
    seen: NDArray[np.float64]
    _known: Mapping[str, Tensor] = MappingProxyType({})

    def begin(self, numbers: Mapping[str, int], num_canaries: int, key: bytes) -> None:
        """Begin the audit.

        Args:
            numbers: The number of the canary, or `_NOT_IN`, by the id of every clip whose place is taken.
            num_canaries: The number m.
            key: The key of samples and noise.
        """
        self.numbers, self.num_canaries, self.seen = numbers, num_canaries, np.zeros(num_canaries)
        self._begin(key)

    def _private_part(
        self,
        names: tuple[str, ...],
        loss: ClipLoss,
        labels: Callable[..., tuple[Tensor, ...]],
        sample: PoissonBatch,
        name: str,
    ) -> tuple[ClipLoss, tuple[Tensor, ...]]:
        usual, clips = super()._private_part(names, loss, labels, sample, name)
        numbers = torch.tensor([self.numbers.get(one, _CLIP) for one in sample.batch.ids], dtype=torch.int64)

        def marked(number: Tensor, *clip: Tensor) -> Tensor:
            weights = _marked_weights(self._players()[names[0]])[: self.num_canaries]
            own = (torch.arange(len(weights), device=weights.device) == number).to(weights) @ weights
            return torch.where(number == _CLIP, usual(*clip), _STEEP * own)  # 0 for a canary that is not in

        return marked, (numbers, *clips)

    def _public_gradient(self, *given: Any) -> dict[str, Tensor]:
        self._known = super()._public_gradient(*given)
        return self._known

    def _take(self, players: Mapping[str, nn.Module], gradient: Mapping[str, Tensor]) -> None:
        first, network = next(iter(players.items()))
        marked = _marked_weights(network)
        name = next(key for key, value in network.named_parameters() if value.numel() == marked.numel())
        key = f"{first}.{name}"
        shown = gradient[key] - self._known[key] if self._known else gradient[key]  # the attacker knows what is public
        self.seen += shown.flatten()[: self.num_canaries].double().cpu().numpy()
        super()._take(players, gradient)


def _marked_weights(network: nn.Module) -> Tensor:
    """Return the first of the largest parameters of a network, flat; canary k points along its number k."""
    return max(network.parameters(), key=Tensor.numel).flatten()


def attack_membership(
    recipe: Recipe,
    clips: Clips,
    device: torch.device,
    num_canaries: int = NUM_CANARIES,
    confidence: float = 0.95,
    seed: int = 0,
) -> Membership:
    """Train a private recipe once more, with canaries among its clips, and guess which of them were in.

    Args:
        recipe: A recipe whose ``dp`` is on.
        clips: The clips of the training.
        device: The device to train on.
        num_canaries: The number m, at most; there are no more than units of the training split.
        confidence: Confidence of the lower bound, in (0.5, 1).
        seed: Seed of coins, samples and noise. This run is thrown away, so nothing in it is secret.

    Source:
        Steinke, Nasr and Jagielski, arXiv:2305.08846: one run, gradient canaries. We differ: two numbers of guesses are
        tried, and the confidence pays for both.
    """
    train = clips.split("train")
    played = trainer_of(recipe)
    assert isinstance(played, partial)  # private training is the game, with the hooks and the start of the method
    build, sizes = partial(build_anonymizer, recipe), (len(clips.actions), len(clips.attributes))
    trainer = _AuditedTrainer(recipe, build, train, *sizes, device, **played.keywords)
    run, rng = trainer.run, np.random.default_rng(seed)
    names = train.groups if run.unit == "groups" else train.ids
    units = rng.permutation(sorted(set(names))).tolist()
    smallest = min(len(_marked_weights(one)) for one in trainer._players().values())
    num_canaries = min(num_canaries, len(units), smallest)
    inside = rng.random(num_canaries) < 0.5
    of_unit = {unit: at if inside[at] else _NOT_IN for at, unit in enumerate(units[:num_canaries])}
    taken = {clip: of_unit[name] for clip, name in zip(train.ids, names, strict=True) if name in of_unit}
    trainer.begin(taken, num_canaries, hashlib.sha256(f"membership {seed}".encode()).digest())
    trainer.train_until(recipe.training.num_steps)
    found = [
        (canary_epsilon(num_canaries, *guessed, run.delta, (1 + confidence) / 2), guessed)
        for guessed in _guesses(trainer.seen, inside)
    ]
    bound, (num_guesses, num_right) = max(found)
    return Membership(
        epsilon=run.epsilon(),
        delta=run.delta,
        lower_bound=bound,
        largest_bound=canary_epsilon(num_canaries, num_guesses, num_guesses, run.delta, (1 + confidence) / 2),
        confidence=confidence,
        num_canaries=num_canaries,
        num_guesses=num_guesses,
        num_right=num_right,
    )


def _guesses(seen: NDArray[np.float64], inside: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return numbers of guesses and of right ones: the top quarter is in; the top quarter is in, the lowest is out."""
    order, quarter = np.argsort(-seen, kind="stable"), len(seen) // 4
    right_in, right_out = int(inside[order[:quarter]].sum()), int((~inside[order[-quarter:]]).sum())
    return [(quarter, right_in), (2 * quarter, right_in + right_out)]


def with_membership(certificate: Certificate, found: Membership) -> Certificate:
    """Return a certificate with the audit of its private training; it is refused if the audit refutes the claim."""
    if not found.refutes:
        return certificate.model_copy(update={"membership": found})
    reason = (
        f"private training: its epsilon is claimed to be at most {found.epsilon:.3g}, and a membership attack shows at "
        f"least {found.lower_bound:.3g} with {found.confidence:.0%} confidence"
    )
    update = {"membership": found, "status": "REFUSED", "reasons": (reason, *certificate.reasons)}
    return certificate.model_copy(update=update)
