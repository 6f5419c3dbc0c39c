"""The trainer, which plays the adversarial game: pretraining, warm-up, and the two moves of every step.

Move 1 updates the anonymizer f_A against frozen branches. Move 2 updates the utility network f_T and the privacy
branches f_B against the frozen anonymizer.

Shapes: B clips, T frames per clip, S stills per clip, C channels, H height, W width, A attributes, K actions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from anon_tune.clips import ClipBatch, ClipSet
from anon_tune.networks import Anonymizer, build_network
from anon_tune.recipe import Recipe
from anon_tune.schedule import Schedule
from anon_tune.training.anomaly import num_labels, num_outputs, with_task_labels
from anon_tune.training.batches import GameBatches
from anon_tune.training.branches import PrivacyBranches, Seen, Target
from anon_tune.training.checkpoint import Resumable
from anon_tune.training.collective import Collective
from anon_tune.training.hooks import GameHooks
from anon_tune.training.losses import quantize
from anon_tune.training.optimizers import build_optimizers, check_compiler, check_precision, lowered, set_rates
from anon_tune.training.synced_norm import synchronize
from anon_tune.training.terms import GAME_TERMS, UTILITY, Move, weigh
from anon_tune.training.updates import Losses, Shown, Updates
from anon_tune.trial import LossPoint

_NO_HOOKS = GameHooks()
_UTILITY_ALONE = replace(UTILITY, weight=lambda recipe: Schedule(start=1.0))  # unweighted: move 2 has no rival term


class Trainer(Resumable):
    """Plays the minimax game of one recipe on one training split.

    Every random number depends only on the recipe's seed and the step, so training that was saved and loaded goes on
    bit-identically on CPU.

    Args:
        recipe: The recipe of the trial.
        build: Builds f_A; it is called once, under the recipe's seed.
        clips: The training split.
        num_actions: The number K of actions.
        num_attributes: The number A of private attributes, in the stills if they are given.
        device: The device to train on.
        stills: The training split of another store, whose stills the privacy branches see instead of frames of the
            clips. The anonymizer learns on both; actions and penalty are computed on the clips only.
        hooks: What the recipe's method adds to the game.
        start: The closed-form anonymizer that f_A imitates before the game; None for the identity.

    Raises:
        RecipeError: The method or the recipe cannot learn on these clips or stills.

    Source:
        arXiv:2504.14301 and SPAct (arXiv:2203.15205). We differ: the penalty has a gradient, the adversary term is
        bounded, a frozen branch computes no weight gradients, outputs are quantized to uint8 levels, and no batch is
        skipped.
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
        self.recipe, self.device, self.hooks, self.start = recipe, device, hooks, start
        task = recipe.utility.task
        clips, num_actions = with_task_labels(task, clips), num_labels(task, num_actions)
        self.collective = Collective()
        with torch.random.fork_rng():
            torch.manual_seed(recipe.training.seed)
            check_precision(recipe.training.precision, device)
            if recipe.training.compile:
                check_compiler(device)
            self.anonymizer = build().to(device)
            self.utility = build_network(recipe.utility, num_outputs(recipe.utility, num_actions)).to(device)
            target = _target(recipe, clips if stills is None else stills, num_attributes, stills is not None)
            self.privacy = PrivacyBranches(recipe.privacy, target, self.collective).to(device)
            # Last, so that a head does not change the weights of the players.
            self.head = hooks.head.build(self.utility, num_actions, num_attributes).to(device)
        for module in hooks.modules.values():
            module.to(device)
        self.batches = GameBatches(recipe, clips, stills, self.anonymizer, self.collective, device)
        if self.collective.size > 1:
            synchronize(self.anonymizer, self.utility, *self.privacy.networks(), self.head)
        learning = {name: [one, *[self.head] * (name == hooks.head.player)] for name, one in self._players().items()}
        self.optimizers = build_optimizers(learning, recipe.training)
        self._updates = Updates(self.optimizers, recipe.training, self.collective)
        if recipe.training.compile:
            for module in (self.anonymizer, self.utility, *self.privacy):
                module.compile()
        self.step = 0
        self._prepared = False

    def _players(self) -> dict[str, nn.Module]:
        return {"anonymizer": self.anonymizer, "utility": self.utility, "privacy": self.privacy}

    def _modules(self) -> dict[str, nn.Module]:
        return {**self._players(), "head": self.head, **self.hooks.modules}

    def train_until(self, step: int) -> list[LossPoint]:
        """Play until a step is reached, and return the losses of every step played.

        Raises:
            DivergedError: A loss is NaN or infinite.
        """
        if not self._prepared:
            with _seeded(self, -1):
                self._prepare()
        self.anonymizer.train()  # a measurement leaves it in eval mode
        training = self.recipe.training
        shown: list[Shown] = []
        while self.step < min(step, training.num_steps):
            with _seeded(self, self.step):
                shown.append(self._play_step())
            self.step += 1
            if self.step % training.log_every == 0:
                self._updates.read()
            if self.hooks.after_step is not None:
                self.hooks.after_step(self)
        self._updates.read()
        return [LossPoint(one.step, one.read) for one in shown if one.read is not None]

    def _play_step(self) -> Shown:
        """Play the moves of the present step."""
        training, restart_steps = self.recipe.training, self.recipe.privacy.restart_steps
        set_rates(self.optimizers, _learning_rates(self.recipe, self.step))
        first = _first_batch(self.recipe, self.step)
        if restart_steps and self.step and self.step % restart_steps == 0:
            self.restart_branches(first - training.warmup_steps)
        shown = self._move_anonymizer(first)
        for k in range(1, 1 + training.num_branch_updates):
            self.move_branches(first + k)
        return shown

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of the same recipe; see `Resumable`."""
        self._prepared |= self._read(path)

    def move_anonymizer(self, index: int) -> Mapping[str, float]:
        """Play move 1 on a batch: with f_T and f_B frozen, minimize the weighted sum of the terms over f_A.

        Without terms of the method, the sum is ``w_T L_T - w_B L_B + w_P L_penalty``. If there are several f_B, L_B is
        that of the strongest or the mean, as the recipe says. With the target ``uniform``, the term of `uniform`
        replaces ``-L_B``. Returns the terms by name, without their weights.
        """
        shown = self._move_anonymizer(index)
        self._updates.read()
        return shown.read or {}

    def _move_anonymizer(self, index: int) -> Shown:
        _learn(self.utility, self.privacy, frozen=True)
        _learn(self.head, frozen=self.hooks.head.player != "anonymizer")
        self.anonymizer.train()

        def losses(part: int) -> Iterator[Losses]:
            batch = self.batches.clips(index, part)
            with lowered(self.recipe.training.precision, self.device):
                changed = quantize(self.anonymizer(batch.clips))
                look = partial(self.batches.seen, index, batch, changed, self.anonymizer, part)
                total, terms = weigh((*GAME_TERMS, *self.hooks.anonymizer_terms), self._move(batch, changed, look))
            yield "anonymizer", total, terms

        return self._updates.take(self.step, losses)["anonymizer"]

    def move_branches(self, index: int) -> None:
        """Play move 2 on a batch: with f_A frozen, minimize L_T over f_T and L_B over f_B on anonymized clips."""
        _learn(self.utility, self.privacy, frozen=False)
        _learn(self.head, frozen=self.hooks.head.player != "utility")

        def losses(part: int) -> Iterator[Losses]:
            batch, changed, seen = self._frozen(index, part)
            terms = (_UTILITY_ALONE, *self.hooks.utility_terms)
            with lowered(self.recipe.training.precision, self.device):
                total, shown = weigh(terms, self._move(batch, changed, lambda: seen))
            yield "utility", total, shown
            yield _privacy_losses(self, seen)

        self._updates.take(self.step, losses)

    def restart_branches(self, first: int) -> None:
        """Restart privacy branches with fresh weights, and let all of them learn on the present outputs of f_A.

        They learn on the batches from index ``first`` on. The fresh weights depend only on the recipe's seed and the
        step. A checkpoint is written before the restart of its step, so training that goes on from it restarts too.
        """
        turn = self.step // self.recipe.privacy.restart_steps - 1 if self.recipe.privacy.restart_steps else 0
        for parameter in self.privacy.restart(self.recipe.training.seed * 1_000_003 + self.step, turn):
            self.optimizers["privacy"].state.pop(parameter, None)  # its moments belong to the old weights
        _learn(self.privacy, frozen=False)
        for index in range(first, first + self.recipe.training.warmup_steps):

            def losses(part: int, index: int = index) -> Iterator[Losses]:
                yield _privacy_losses(self, self._frozen(index, part)[2])

            self._updates.take(self.step, losses)

    def _frozen(self, index: int, part: int) -> tuple[ClipBatch, Tensor, Seen]:
        """Return a part of a batch, the same anonymized by f_A as it is, and what the privacy branches see of it."""
        self.anonymizer.eval()  # the branches learn on what a file of it would show
        batch = self.batches.clips(index, part)
        with torch.no_grad(), lowered(self.recipe.training.precision, self.device):
            changed = quantize(self.anonymizer(batch.clips))
            return batch, changed, self.batches.seen(index, batch, changed, self.anonymizer, part)

    def _prepare(self) -> None:
        """Train f_A to imitate the start by the L1 distance, then let the branches learn on its outputs."""
        _learn(self.utility, self.privacy, frozen=True)
        for step in range(self.recipe.anonymizer.pretrain_steps):
            set_rates(self.optimizers, {"anonymizer": self.recipe.anonymizer.pretrain_lr})
            self.imitate(step)
        self.optimizers["anonymizer"].state.clear()  # its moments belong to another loss
        set_rates(self.optimizers, _learning_rates(self.recipe, self.step))
        if self.hooks.before_game is not None:
            self.hooks.before_game(self)
        for step in range(self.recipe.training.warmup_steps):
            self.move_branches(step)
        self._prepared = True

    def imitate(self, index: int) -> None:
        """Let f_A learn the outputs of the start on a batch, by the L1 distance."""
        self._updates.take(self.step, partial(_imitation, self, index))

    def _move(self, batch: ClipBatch, changed: Tensor, look: Callable[[], Seen]) -> Move:
        players = self.anonymizer, self.utility, self.privacy
        return Move(self.recipe, self.step, batch, changed, look, *players, self.head)


@contextmanager
def _seeded(trainer: Trainer, step: int) -> Iterator[None]:
    """Let layers that draw numbers, such as dropout, draw those of the seed, the step and the worker."""
    devices = [trainer.device] if trainer.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        stream = (trainer.recipe.training.seed * 1_000_003 + step + 1) * 1_009 + trainer.collective.world_rank
        torch.manual_seed(stream % 2**63)
        yield


def _privacy_losses(trainer: Trainer, seen: Seen) -> Losses:
    """Return the sum of the losses of all privacy branches, from which each learns by its own loss."""
    with lowered(trainer.recipe.training.precision, trainer.device):
        total = torch.stack([loss.mean() for loss in trainer.privacy.losses(seen)]).sum()
    return "privacy", total, {"privacy": total}


def _imitation(trainer: Trainer, index: int, part: int) -> Iterator[Losses]:
    """Yield the L1 distance of f_A from the start on a part of a batch."""
    clips = trainer.batches.clips(index, part).clips
    goal = clips if trainer.start is None else trainer.start(clips)
    with lowered(trainer.recipe.training.precision, trainer.device):
        difference = (trainer.anonymizer(clips) - goal).abs().mean()
    yield "anonymizer", difference, {"reconstruction": difference}


def _learning_rates(recipe: Recipe, step: int) -> dict[str, float]:
    schedules = {"anonymizer": recipe.anonymizer.lr, "utility": recipe.utility.lr, "privacy": recipe.privacy.lr}
    return {name: schedule.at(step, recipe.training.num_steps) for name, schedule in schedules.items()}


def _first_batch(recipe: Recipe, step: int) -> int:
    """Return the index of the first batch of a step. Warm-ups, also those after restarts, have other batches."""
    training, restart_steps = recipe.training, recipe.privacy.restart_steps
    num_warmups = 1 + (step // restart_steps if restart_steps else 0)
    return num_warmups * training.warmup_steps + step * (1 + training.num_branch_updates)


def _learn(*branches: nn.Module, frozen: bool) -> None:
    for branch in branches:
        branch.requires_grad_(not frozen).train(not frozen)


def _target(recipe: Recipe, clips: ClipSet, num_attributes: int, of_stills: bool) -> Target:
    """Return what the privacy branches predict on clips, or on stills of another store."""
    _, num_frames, height, width, _ = clips.frames.shape
    seen = recipe.training.stills_per_clip if of_stills else num_frames
    positives = float(clips.private.sum(axis=0).mean())
    return Target(num_attributes, clips.categories, (seen, height, width), positives)
