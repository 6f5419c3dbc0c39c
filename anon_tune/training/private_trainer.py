"""The game, trained by DP-SGD: every update learns from clipped gradients of a random sample, with noise.

Shapes: B clips of a batch, T frames per clip, S stills per clip, C channels, H height, W width, A attributes.
"""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from anon_tune.accounting.private_run import PrivateRun, private_run
from anon_tune.clips import ClipBatch, ClipSet, PoissonBatch, PoissonSampler
from anon_tune.clips.persons import masks_digest
from anon_tune.clips.poisson import stream_key
from anon_tune.errors import AnonTuneError, RecipeError
from anon_tune.networks import Anonymizer
from anon_tune.networks.keyed_numbers import KeyedNumbers
from anon_tune.networks.weights import read_tensors
from anon_tune.recipe import Recipe
from anon_tune.schedule import Schedule
from anon_tune.training.anomaly import with_task_labels
from anon_tune.training.branches import Seen
from anon_tune.training.hooks import NO_HEAD, GameHooks
from anon_tune.training.losses import quantize
from anon_tune.training.private_gradients import ClipLoss, add_noise, check_no_mixing, clipped_sum
from anon_tune.training.terms import GAME_TERMS, UTILITY, Move, weigh
from anon_tune.training.trainer import Trainer
from anon_tune.training.updates import Shown
from anon_tune.trial import LossPoint

Labels = Callable[[ClipBatch, str], tuple[Tensor, ...]]
"""Returns what the loss of a clip needs besides the clip, (B,...) each, from a batch and its name."""

_NO_HOOKS = GameHooks()
_NOTE = "dp"
_ANEW = "begin a new study"
_UTILITY_ALONE = replace(UTILITY, weight=lambda recipe: Schedule(start=1.0))


class PrivateTrainer(Trainer):
    """Plays the game of a recipe whose ``dp`` is on.

    All three networks learn from the clips, and each of them shapes the others. So all their updates are noised: move 1
    updates f_A, and move 2 updates f_T and f_B as one vector. Pretraining and warm-up are noised too. Samples and noise
    come from a secret key that is drawn when a trial begins. A checkpoint keeps the key and the account, so that a
    trial that goes on neither repeats nor skips noise. The key is deleted together with the checkpoint.

    The losses of a batch are not private, so there are no loss curves.

    If ``dp.region`` is ``persons``, only what the pixels of persons add to a gradient is clipped and noised: the
    gradient of a clip minus that of the clip with grey persons. The gradient of other clips with grey persons is added
    without noise. They are drawn independently, so that they do not tell who is in the noised part.

    Args:
        recipe: The recipe of the trial.
        build: Builds f_A.
        clips: The training split, which is protected.
        num_actions: The number of actions.
        num_attributes: The number A of private attributes.
        device: The device to train on.
        stills: Must be None: their people would not be accounted for.
        hooks: Must add no steps and no term of f_T.
        start: The closed-form anonymizer that f_A imitates before the game; None for the identity.

    Raises:
        RecipeError: The recipe cannot be trained privately on these clips.

    Source:
        Abadi et al., arXiv:1607.00133. We differ: Adam takes the noised gradient, and the sum is divided by the
        expected number of units, which is public. The region ``persons`` is in the style of MaskDP (arXiv:2410.17098),
        whose algorithm was not available, so its formula is ours.
    """

    def __init__(
        self,
        recipe: Recipe,
        build: Callable[[], Anonymizer],
        clips: ClipSet,
        num_actions: int,
        num_attributes: int,
        device: torch.device,
        stills: ClipSet | None = None,
        hooks: GameHooks = _NO_HOOKS,
        start: Anonymizer | None = None,
    ) -> None:
        self.run = private_run(recipe, len(clips), len(set(clips.groups)))
        _refuse(recipe, hooks, stills)
        check_region(recipe, clips, "recipe")
        super().__init__(recipe, build, clips, num_actions, num_attributes, device, stills, hooks, start)
        check_no_mixing(self._players(), "recipe")
        if self.collective.size > 1:
            rule = "private training ('dp') runs in one worker for a trial"
            raise RecipeError("recipe", rule, self.collective.size, "Leave --workers out")
        self._clips = with_task_labels(recipe.utility.task, clips)
        masks = clips.persons if self.run.region == "persons" else None
        self._masks = "" if masks is None else masks_digest(masks)  # of the masks that training depends on
        self._begin(secrets.token_bytes(32))

    def _begin(self, key: bytes) -> None:
        training = self.recipe.training
        by_group, persons_only = self.run.unit == "groups", self.run.region == "persons"
        self._key = key
        self.sampler = PoissonSampler(
            self._clips, self.run.rate, key, by_group, training.crop, training.flip, persons_only
        )

    def train_until(self, step: int) -> list[LossPoint]:
        """Play until a step is reached. No losses are returned, because they are not private."""
        super().train_until(step)
        return []

    def save(self, path: Path) -> None:
        """Write everything that the next step depends on, the key and the account of the noise among it."""
        account = self.run.after(self.recipe, self.step)
        note = json.dumps({"key": self._key.hex(), "account": account.to_json(), "masks": self._masks})
        self._write(path, {_NOTE: note})

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of the same recipe, with the noise that it would have had.

        Raises:
            AnonTuneError: The checkpoint was trained with other noise.
        """
        note = read_tensors(path)[1].get(_NOTE)
        if note is not None:
            kept = json.loads(note)
            _check_same_noise(PrivateRun.from_json(kept["account"], str(path)), self.run, path)
            if kept.get("masks", "") != self._masks:
                rule = "its private training began with other person masks"
                raise AnonTuneError(str(path), rule, remedy=f"Restore the masks, or {_ANEW}")
        super().load(path)
        if note is not None and self._prepared:
            self._begin(bytes.fromhex(kept["key"]))

    def imitate(self, index: int) -> None:
        """Let f_A learn the outputs of the start, from clipped and noised gradients."""

        def loss(clip: Tensor) -> Tensor:
            goal = clip if self.start is None else self.start(clip[None])[0]
            difference: Tensor = (self.anonymizer(clip[None])[0] - goal).abs().mean()
            return difference

        self._learn_privately(("anonymizer",), loss, lambda batch, name: (), f"imitate {index}")

    def move_anonymizer(self, index: int) -> Mapping[str, float]:
        """Play move 1 from clipped and noised gradients. Returns no terms, because they are not private."""
        self.utility.eval()
        self.privacy.eval()
        terms = (*GAME_TERMS, *self.hooks.anonymizer_terms)
        self._play(("anonymizer",), index, lambda move: weigh(terms, move)[0])
        return {}

    def _move_anonymizer(self, index: int) -> Shown:
        return Shown(self.step, (), torch.empty(0), dict(self.move_anonymizer(index)))

    def move_branches(self, index: int) -> None:
        """Play move 2 from clipped and noised gradients; f_T and f_B share one noised vector."""
        self.utility.train()
        self.privacy.train()

        def loss(move: Move) -> Tensor:
            of_branches = torch.stack([of_one.mean() for of_one in move.privacy.losses(move.seen)]).sum()
            return weigh((_UTILITY_ALONE,), move)[0] + of_branches

        self._play(("utility", "privacy"), index, loss)

    def _play(self, names: tuple[str, ...], index: int, loss: Callable[[Move], Tensor]) -> None:
        def of_clip(clip: Tensor, action: Tensor, private: Tensor, shown: Tensor) -> Tensor:
            batch = ClipBatch(clip[None], action[None], private[None], ("",))
            changed = quantize(self.anonymizer(batch.clips))
            seen = Seen(changed[:, shown], changed, batch.private)
            players = self.anonymizer, self.utility, self.privacy
            return loss(Move(self.recipe, self.step, batch, changed, lambda: seen, *players, self.head))

        def labels(batch: ClipBatch, name: str) -> tuple[Tensor, ...]:
            return batch.actions, batch.private, self._frames(len(batch), name)

        self._learn_privately(names, of_clip, labels, f"move {index}")

    def _frames(self, num_clips: int, name: str) -> Tensor:
        """Draw the indices (B,S) of the frames of each clip that f_B sees."""
        num_frames, wanted = self._clips.frames.shape[1], self.recipe.training.stills_per_clip
        order = KeyedNumbers(stream_key(self._key, f"frames {name}")).uniform((num_clips, num_frames)).argsort(dim=1)
        return order[:, torch.arange(wanted) % num_frames]

    def _learn_privately(self, names: tuple[str, ...], loss: ClipLoss, labels: Labels, name: str) -> None:
        """Take one optimizer step on the noised mean of the clipped gradients."""
        players = {player: self._players()[player] for player in names}
        sample = self.sampler.batch(name)
        private_loss, clips = self._private_part(names, loss, labels, sample, name)
        units = sample.units.to(self.device)
        total = clipped_sum(players, private_loss, self._moved(clips), units, sample.num_units, self.run.clip_norm)
        noise = KeyedNumbers(stream_key(self._key, f"noise {name}"))
        deviation = self.run.noise_multiplier * self.run.clip_norm
        noised = add_noise(total, deviation, self.run.rate * self.run.num_units, noise)
        if self.run.region == "persons":
            public = self._public_gradient(players, loss, labels, name)
            noised = {key: value + public[key] for key, value in noised.items()}
        self._take(players, noised)

    def _private_part(
        self, names: tuple[str, ...], loss: ClipLoss, labels: Labels, sample: PoissonBatch, name: str
    ) -> tuple[ClipLoss, tuple[Tensor, ...]]:
        """Return the loss whose gradients are clipped and noised, and the tensors (B,...) that it is computed from."""
        batch = sample.batch
        if sample.without_persons is None:
            return loss, (batch.clips, *labels(batch, name))

        def of_persons(clip: Tensor, without: Tensor, *others: Tensor) -> Tensor:
            there = (clip != without).any()  # layers that draw numbers would let two equal clips differ
            return (loss(clip, *others) - loss(without, *others)) * there

        return of_persons, (batch.clips, sample.without_persons, *labels(batch, name))

    def _public_gradient(
        self, players: Mapping[str, nn.Module], loss: ClipLoss, labels: Labels, name: str
    ) -> dict[str, Tensor]:
        """Return the mean gradient of clips with grey persons, which are drawn independently of the noised batch."""
        batch = self.sampler.public(name, self.recipe.training.batch_clips)
        tensors = self._moved((batch.clips, *labels(batch, f"public {name}")))
        units = torch.arange(len(batch), device=self.device)
        total = clipped_sum(players, loss, tensors, units, len(batch), math.inf)
        return {key: value / len(batch) for key, value in total.items()}

    def _moved(self, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(tensor.to(self.device) for tensor in tensors)

    def _take(self, players: Mapping[str, nn.Module], gradient: Mapping[str, Tensor]) -> None:
        for player, network in players.items():
            for key, parameter in network.named_parameters():
                parameter.grad = gradient[f"{player}.{key}"]
            self.optimizers[player].step()
            self.optimizers[player].zero_grad(set_to_none=True)


def check_region(recipe: Recipe, clips: ClipSet, where: str) -> None:
    """Check that clips have what the region of a private recipe needs.

    Raises:
        RecipeError: The region is ``persons``, and the clips have no person masks, or no mask shows a person.
    """
    if recipe.dp.region != "persons":
        return
    if clips.persons is None:
        rule = "'dp.region' = 'persons' needs clips with person masks, and these have none"
        raise RecipeError(where, rule, remedy="Find the persons with 'anon-tune clips persons DIR', or leave it out")
    if not clips.persons.any():
        rule = "'dp.region' = 'persons' protects nothing, because the masks of the clips show no person"
        raise RecipeError(where, rule, remedy="Find the persons with another detector, or leave 'dp.region' out")


def _refuse(recipe: Recipe, hooks: GameHooks, stills: ClipSet | None) -> None:
    needs = "private training ('dp') accounts for the game on the clips only"
    if stills is not None:
        raise RecipeError("recipe", f"{needs}, not for the people of stills", remedy="Leave --stills out")
    if (
        hooks.head is not NO_HEAD
        or hooks.utility_terms
        or hooks.before_game is not None
        or hooks.after_step is not None
    ):
        rule = f"{needs}; the method '{recipe.method}' adds updates of its own"
        raise RecipeError("recipe", rule, remedy="Choose the method 'adversarial'")


def _check_same_noise(kept: PrivateRun, now: PrivateRun, path: Path) -> None:
    for name in ("noise_multiplier", "clip_norm", "rate", "unit", "region", "num_units", "delta"):
        before, wanted = getattr(kept, name), getattr(now, name)
        if before != wanted:
            rule = f"its private training began with {name} {before}, so it cannot go on with another one"
            raise AnonTuneError(str(path), rule, wanted, f"Go on with {before}, or {_ANEW}")
