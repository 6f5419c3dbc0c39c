"""The audit of private training: a membership attack on canaries, within one training run.

Half of m canaries, chosen by coins, are added to the training clips. A canary is a unit whose gradient is large and
points along one weight, so it is clipped to the full norm and is hard to hide. The attacker sees every noised
gradient, as the proof allows, and guesses which canaries were in. If training keeps its epsilon, only so many guesses
are likely to be right.

Shapes: N clips of the training split, m canaries, B clips of a batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anon_tune.accounting import canary_epsilon
from anon_tune.accounting.private_run import private_run
from anon_tune.certificate import Certificate, Membership
from anon_tune.clips import Clips, ClipSet, PoissonBatch
from anon_tune.methods import build_anonymizer
from anon_tune.recipe import Recipe
from anon_tune.training import PrivateTrainer
from anon_tune.training.private_gradients import ClipLoss

NUM_CANARIES = 256
"""With so many, a perfect attacker refutes an epsilon of about 4; a larger claim cannot be refuted."""

_NAME = "canary "
_STEEP = 1e6  # norm of the gradient of a canary before it is clipped


class _AuditedTrainer(PrivateTrainer):
    """Trains as its parent does, on clips some of which are canaries, and keeps what the attacker sees of each.

    A canary is a copy of the first clip under another id. Its loss is one weight of the network that learns, times a
    large number. So it is drawn, clipped, added up and noised as every other unit.
    """

    num_canaries = 0
    seen: NDArray[np.float64]
    _known: Mapping[str, Tensor] = MappingProxyType({})

    def begin(self, num_canaries: int, key: bytes) -> None:
        """Begin the audit: m canaries, of which those in the training clips are numbered by their ids."""
        self.num_canaries, self.seen = num_canaries, np.zeros(num_canaries)
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
        numbers = torch.tensor([_number(one) for one in sample.batch.ids], dtype=torch.int64)

        def marked(number: Tensor, *clip: Tensor) -> Tensor:
            weights = _marked_weights(self._players()[names[0]])[: self.num_canaries]
            own = (torch.arange(len(weights), device=weights.device) == number).to(weights) @ weights
            return torch.where(number < 0, usual(*clip), _STEEP * own)

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


def _number(clip_id: str) -> int:
    return int(clip_id.removeprefix(_NAME)) if clip_id.startswith(_NAME) else -1


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
        num_canaries: The number m.
        confidence: Confidence of the lower bound, in (0.5, 1).
        seed: Seed of coins, samples and noise. This run is thrown away, so nothing in it is secret.

    Source:
        Steinke, Nasr and Jagielski, arXiv:2305.08846: one run, gradient canaries. We differ: two numbers of guesses are
        tried, and the confidence pays for both.
    """
    train = clips.split("train")
    run = private_run(recipe, len(train), len(set(train.groups)))
    key = hashlib.sha256(f"membership {seed}".encode()).digest()
    inside = np.random.default_rng([seed, num_canaries]).random(num_canaries) < 0.5
    trainer = _AuditedTrainer(
        recipe,
        partial(build_anonymizer, recipe),
        _with_canaries(train, np.flatnonzero(inside)),
        len(clips.actions),
        len(clips.attributes),
        device,
    )
    trainer.run = run  # the rate and the noise of the run that is audited, not those for more clips
    num_canaries = min(num_canaries, *(len(_marked_weights(one)) for one in trainer._players().values()))
    trainer.begin(num_canaries, key)
    trainer.train_until(recipe.training.num_steps)
    found = [
        (canary_epsilon(num_canaries, *guessed, run.delta, (1 + confidence) / 2), guessed)
        for guessed in _guesses(trainer.seen, inside[:num_canaries])
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


def _with_canaries(train: ClipSet, canaries: NDArray[np.int64]) -> ClipSet:
    """Return a training split with canaries of these numbers behind its clips; each is a unit of its own."""
    names = tuple(f"{_NAME}{number}" for number in canaries)
    copies: Any = np.zeros(len(canaries), np.int64)

    def longer(values: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([values, values[copies]])

    return replace(
        train,
        frames=longer(train.frames),
        actions=longer(train.actions),
        private=longer(train.private),
        groups=(*train.groups, *names),
        ids=(*train.ids, *names),
        persons=None if train.persons is None else longer(train.persons),
    )


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
