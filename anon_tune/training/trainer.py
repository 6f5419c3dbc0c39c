"""The trainer: pretraining, warm-up, and the two moves of the game.

Shapes: B clips, T frames a clip, S stills a clip, C channels, H height, W width, A attributes, K actions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn, optim
from torch.nn import functional as F

from anon_tune.clips import ClipBatch, ClipSampler, ClipSet, StillSampler
from anon_tune.errors import DivergedError, RecipeError
from anon_tune.networks import Anonymizer, build_utility
from anon_tune.recipe import Recipe
from anon_tune.schedule import Schedule
from anon_tune.training.branches import PrivacyBranches
from anon_tune.training.checkpoint import read_checkpoint, write_checkpoint
from anon_tune.training.collective import Collective
from anon_tune.training.losses import distortion, penalty, quantize
from anon_tune.trial import LossPoint


class Trainer:
    """Plays the minimax game of one recipe on one training split.

    Every draw is a pure function of the recipe's seed and the step, so a run that was saved and
    loaded goes on bit-identically on CPU.

    Args:
        recipe: What to train.
        build: Makes the anonymizer; called once, under the recipe's seed.
        clips: The training split.
        num_actions: K.
        num_attributes: A, of what the privacy branches see.
        device: Where to train.
        stills: What the privacy branches see instead of frames of the clips: the training split of
            another store. The anonymizer plays on both; actions and penalty are of the clips alone.

    Raises:
        RecipeError: The recipe cannot learn on these stills.

    Source:
        arXiv:2504.14301 and SPAct (arXiv:2203.15205). We differ: the penalty has a gradient, the
        adversary term is bounded, a frozen branch computes no weight gradients, outputs are
        quantized to uint8 levels, and no batch is skipped.
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
    ) -> None:
        self.recipe, self.device = recipe, device
        self.num_frames = clips.frames.shape[1]
        self.collective = Collective()
        training = recipe.training
        self.sampler = ClipSampler(clips, training.batch_clips, training.seed, crop=training.crop, flip=training.flip)
        with torch.random.fork_rng():
            torch.manual_seed(training.seed)
            self.anonymizer = build().to(device)
            self.utility = build_utility(recipe.utility, num_actions).to(device)
            self.privacy = PrivacyBranches(recipe.privacy, num_attributes, self.collective).to(device)
        self.other_stills = None if stills is None else _sampler_of(stills, recipe, self.anonymizer)
        self.optimizers = {
            name: optim.Adam(module.parameters(), lr=1e-3, betas=(0.5 if name == "anonymizer" else 0.9, 0.999))
            for name, module in self._modules().items()
        }
        self.step = 0
        self._prepared = False

    def _modules(self) -> dict[str, nn.Module]:
        return {"anonymizer": self.anonymizer, "utility": self.utility, "privacy": self.privacy}

    def train_until(self, step: int) -> list[LossPoint]:
        """Play until a step is reached; return the losses of every step played.

        Raises:
            DivergedError: A loss is NaN or infinite.
        """
        if not self._prepared:
            self._prepare()
        self.anonymizer.train()  # a measurement leaves it in eval mode
        training = self.recipe.training
        points: list[LossPoint] = []
        while self.step < min(step, training.num_steps):
            self._set_learning_rates()
            first = self._first_batch()
            restart_steps = self.recipe.privacy.restart_steps
            if restart_steps and self.step and self.step % restart_steps == 0:
                self._restart_branches(first - training.warmup_steps)
            points.append(self._move_anonymizer(self._batch(first), self._stills(first)))
            for k in range(1, 1 + training.num_branch_updates):
                self._move_branches(self._batch(first + k), self._stills(first + k))
            self.step += 1
        return points

    def save(self, path: Path) -> None:
        """Write weights, optimizer states and step; complete or not at all."""
        write_checkpoint(path, self._modules(), self.optimizers, self.step, self.recipe.training_fingerprint())

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of the same recipe."""
        self.step = read_checkpoint(path, self._modules(), self.optimizers, self.recipe.training_fingerprint())
        self._prepared = True

    def _prepare(self) -> None:
        """Bring f_A to the identity (L1), then let the branches learn on what it puts out."""
        pretrain_steps = self.recipe.anonymizer.pretrain_steps
        self._learn(self.utility, self.privacy, frozen=True)
        optimizer = self.optimizers["anonymizer"]
        for step in range(pretrain_steps):
            self._set_rate("anonymizer", self.recipe.anonymizer.pretrain_lr)
            clips = self._batch(step).clips
            self._update("anonymizer", {"reconstruction": (self.anonymizer(clips) - clips).abs().mean()})
        optimizer.state.clear()  # moments of another loss
        self._set_learning_rates()
        for step in range(self.recipe.training.warmup_steps):
            self._move_branches(self._batch(step), self._stills(step))
        self._prepared = True

    def _restart_branches(self, first: int) -> None:
        """Start all privacy branches again and let them alone learn on what f_A puts out now.

        The new weights hang on the recipe's seed and the step alone. A checkpoint is of the time
        before the restart of its step, so a run that goes on from it restarts as well.
        """
        self.privacy.restart(self.recipe.training.seed * 1_000_003 + self.step)
        self.optimizers["privacy"].state.clear()  # moments of the weights that were
        self._learn(self.privacy, frozen=False)
        for index in range(first, first + self.recipe.training.warmup_steps):
            batch = self._batch(index)
            with torch.no_grad():
                changed = quantize(self.anonymizer(batch.clips))
            self._update_privacy(changed, batch, self._stills(index))

    def _first_batch(self) -> int:
        """Return the index of the step's first batch; warm-ups, of restarts too, have batches of their own."""
        training, restart_steps = self.recipe.training, self.recipe.privacy.restart_steps
        num_warmups = 1 + (self.step // restart_steps if restart_steps else 0)
        return num_warmups * training.warmup_steps + self.step * (1 + training.num_branch_updates)

    def _move_anonymizer(self, batch: ClipBatch, stills: Tensor | ClipBatch) -> LossPoint:
        """Move 1: f_T and f_B frozen; minimize ``w_T L_T - w_B L_B + w_P L_penalty`` over f_A.

        Of several f_B the one that tells most drives; the uniform target has its own term for ``-L_B``.
        """
        recipe = self.recipe
        self._learn(self.utility, self.privacy, frozen=True)
        changed = quantize(self.anonymizer(batch.clips))
        utility = F.cross_entropy(self.utility(changed), batch.actions)
        adversary, private = self.privacy.drive(*self._seen(changed, batch, stills))
        excess = self._penalty(batch.clips, changed)
        if recipe.penalty.detached:
            excess = excess.detach()
        total = (
            self._now(recipe.utility.weight) * utility
            + self._now(recipe.privacy.weight) * adversary
            + self._now(recipe.penalty.weight) * excess
        )
        moved = distortion(batch.clips, changed).mean()
        terms = {"utility": utility, "privacy": private, "penalty": excess, "distortion": moved}
        values = self._update("anonymizer", terms, total)
        return LossPoint(self.step, **values)

    def _move_branches(self, batch: ClipBatch, stills: Tensor | ClipBatch) -> None:
        """Move 2: f_A frozen; minimize L_T over f_T and L_B over f_B on anonymized input."""
        self._learn(self.utility, self.privacy, frozen=False)
        with torch.no_grad():
            changed = quantize(self.anonymizer(batch.clips))
        self._update("utility", {"utility": F.cross_entropy(self.utility(changed), batch.actions)})
        self._update_privacy(changed, batch, stills)

    def _update_privacy(self, changed: Tensor, batch: ClipBatch, stills: Tensor | ClipBatch) -> None:
        """Let every privacy branch learn: the gradient of their summed losses is each one's own."""
        with torch.no_grad():
            seen, private = self._seen(changed, batch, stills)
        losses = self.privacy.losses(seen, private)
        self._update("privacy", {"privacy": torch.stack([loss.mean() for loss in losses]).sum()})

    def _seen(self, changed: Tensor, batch: ClipBatch, stills: Tensor | ClipBatch) -> tuple[Tensor, Tensor]:
        """Return what f_B sees, anonymized stills (B,S,C,H,W), and their private labels (B,A)."""
        if isinstance(stills, ClipBatch):
            return quantize(self.anonymizer(stills.clips)), stills.private
        return changed[torch.arange(len(changed), device=changed.device).unsqueeze(1), stills], batch.private

    def _penalty(self, raw: Tensor, changed: Tensor) -> Tensor:
        threshold = self._now(self.recipe.penalty.threshold)
        if self.recipe.penalty.on == "features":
            with torch.no_grad():
                raw = self.utility.features(raw)
            changed = self.utility.features(changed)
        return penalty(raw, changed, threshold)

    def _update(self, name: str, terms: dict[str, Tensor], total: Tensor | None = None) -> dict[str, float]:
        """Take one optimizer step on the total (or the only term); return the terms, averaged over workers."""
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        (next(iter(terms.values())) if total is None else total).backward()
        stacked = torch.stack([t.detach() for t in terms.values()])
        values = dict(zip(terms, self.collective.mean(stacked).tolist(), strict=True))
        for term, value in values.items():
            if not math.isfinite(value):
                where = f"step {self.step}"
                raise DivergedError(where, f"the {term} loss must be finite", value, "Lower a weight or learning rate")
        self.collective.average_gradients(p for group in optimizer.param_groups for p in group["params"])
        optimizer.step()
        return values

    def _learn(self, *branches: nn.Module, frozen: bool) -> None:
        for branch in branches:
            branch.requires_grad_(not frozen).train(not frozen)

    def _set_learning_rates(self) -> None:
        for name in self.optimizers:
            self._set_rate(name, self._now(getattr(self.recipe, name).lr))

    def _set_rate(self, name: str, rate: float) -> None:
        for group in self.optimizers[name].param_groups:
            group["lr"] = rate

    def _now(self, schedule: Schedule) -> float:
        return schedule.at(self.step, self.recipe.training.num_steps)

    def _batch(self, index: int) -> ClipBatch:
        return self._moved(self.sampler.batch(index, self.collective.world_rank, self.collective.size))

    def _moved(self, batch: ClipBatch) -> ClipBatch:
        device = self.device
        return ClipBatch(batch.clips.to(device), batch.actions.to(device), batch.private.to(device), batch.ids)

    def _stills(self, index: int) -> Tensor | ClipBatch:
        """Draw what f_B sees: frames of each clip, (B,S), without repetition where T allows; or other stills."""
        if self.other_stills is not None:
            return self._moved(self.other_stills.batch(index, self.collective.world_rank, self.collective.size))
        training = self.recipe.training
        generator = torch.Generator().manual_seed(training.seed * 1_000_003 + index)
        order = torch.rand(training.batch_clips, self.num_frames, generator=generator).argsort(dim=1)
        part = order.chunk(self.collective.size)[self.collective.world_rank]
        wanted = torch.arange(training.stills_per_clip) % self.num_frames
        return part[:, wanted].to(self.device)


def _sampler_of(stills: ClipSet, recipe: Recipe, anonymizer: Anonymizer) -> StillSampler:
    training = recipe.training
    if anonymizer.num_before != 0:
        rule = "an anonymizer that looks at other frames cannot learn on stills"
        raise RecipeError("stills", rule, recipe.method, "Choose another method, or leave --stills out")
    if recipe.privacy.head == "nt_xent" and stills.frames.shape[1] == 1 and training.crop == 1:
        rule = "'nt_xent' on stills of one frame needs 'training.crop' below 1, or both views are the same"
        raise RecipeError("stills", rule, training.crop, "Try --set training.crop=0.5")
    return StillSampler(
        stills, training.batch_clips, training.stills_per_clip, training.seed, training.crop, training.flip
    )
