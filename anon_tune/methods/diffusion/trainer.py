"""Trains the denoiser, and the privacy branch that guides it away, on the training split. There is no game.

Shapes: B clips, T frames per clip, N frames, C = 3 channels (RGB), H height, W width, A private attributes.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anon_tune.clips import ClipSampler, ClipSet
from anon_tune.errors import DivergedError
from anon_tune.methods.diffusion.anonymizer import Diffusion, noisy_frame
from anon_tune.methods.diffusion.denoiser import NUM_STEPS, Embedder
from anon_tune.networks import Anonymizer
from anon_tune.recipe import Recipe
from anon_tune.training import Collective
from anon_tune.training.checkpoint import Resumable
from anon_tune.training.optimizers import build_optimizer
from anon_tune.trial import LossPoint


class DenoiserTrainer(Resumable):
    """Teaches the denoiser to find the noise in frames of the training split: ``mean ||e - e(x_t, t)||^2``.

    With guidance, a branch learns private attributes on the same raw frames. Every random number depends only on the
    recipe's seed and the step, so training that was saved and loaded goes on bit-identically on CPU.

    Args:
        recipe: The recipe of the trial.
        build: Builds the anonymizer; it is called once, under the recipe's seed.
        clips: The training split.
        num_actions: Not used, because no action is learned.
        num_attributes: The number A of private attributes.
        device: The device to train on.
        stills: Must be None: `check_demands` refuses stills for this method.

    Source:
        DDPM, arXiv:2006.11239, equation 14.
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
        self.recipe, self.device, self.collective = recipe, device, Collective()
        training = recipe.training
        with torch.random.fork_rng():
            torch.manual_seed(training.seed)
            anonymizer = build()
            assert isinstance(anonymizer, Diffusion)
            self.anonymizer: Anonymizer = anonymizer.to(device)
            self._diffusion = anonymizer
            self.head = nn.Linear(Embedder.num_features, num_attributes).to(device)
        views = training.crop, training.flip, training.jitter
        self._sampler = ClipSampler(clips, training.batch_clips, training.seed, *views)
        weights = [*self.anonymizer.parameters(), *(self.head.parameters() if anonymizer.embedder else ())]
        self.optimizers = {"anonymizer": build_optimizer(weights, training, beta=0.9)}
        self.step = 0

    def train_until(self, step: int) -> list[LossPoint]:
        """Train until a step is reached, and return the losses of every step done.

        Raises:
            DivergedError: A loss is NaN or infinite.
        """
        self.anonymizer.train().requires_grad_(True)
        points: list[LossPoint] = []
        while self.step < min(step, self.recipe.training.num_steps):
            points.append(LossPoint(self.step, self._learn()))
            self.step += 1
        return points

    def _modules(self) -> dict[str, nn.Module]:
        return {"anonymizer": self.anonymizer, "head": self.head}

    def _learn(self) -> dict[str, float]:
        recipe, optimizer = self.recipe, self.optimizers["anonymizer"]
        for group in optimizer.param_groups:
            group["lr"] = recipe.anonymizer.lr.at(self.step, recipe.training.num_steps)
        losses = self._losses()
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        stacked = torch.stack([loss.detach() for loss in losses.values()])
        values = dict(zip(losses, self.collective.mean(stacked).tolist(), strict=True))
        for name, value in values.items():
            if not math.isfinite(value):
                rule = f"the {name} loss must be finite"
                raise DivergedError(f"step {self.step}", rule, value, "Lower the learning rate")
        self.collective.average_gradients(p for group in optimizer.param_groups for p in group["params"])
        optimizer.step()
        return values

    def _losses(self) -> dict[str, Tensor]:
        """Return the losses of this step's batch, by name."""
        drawn = self._generator()
        batch = self._sampler.batch(self.step, self.collective.world_rank, self.collective.size)
        num_clips, num_frames = batch.clips.shape[:2]
        each = min(self._diffusion.section.frames_per_clip, num_frames)
        order = torch.rand(num_clips, num_frames, generator=drawn).argsort(dim=1)[:, :each]
        frames = batch.clips[torch.arange(num_clips).unsqueeze(1), order].flatten(0, 1).to(self.device) * 2 - 1
        steps = torch.randint(NUM_STEPS, (len(frames),), generator=drawn).to(self.device)
        noise = torch.randn(frames.shape, generator=drawn).to(self.device)
        noisy = noisy_frame(frames, noise, self._diffusion.signal[steps].view(-1, 1, 1, 1))
        found = self._diffusion.denoiser(noisy, steps, self._diffusion.condition(frames))
        losses = {"denoising": F.mse_loss(found, noise)}
        if self._diffusion.embedder is not None:
            private = batch.private.to(self.device).float().repeat_interleave(each, 0)
            logits = self.head(self._diffusion.embedder(frames))
            losses["privacy"] = F.binary_cross_entropy_with_logits(logits, private)
        return losses

    def _generator(self) -> torch.Generator:
        training, collective = self.recipe.training, self.collective
        seed = (training.seed * 1_000_003 + self.step) * collective.size + collective.world_rank
        return torch.Generator().manual_seed(seed)
