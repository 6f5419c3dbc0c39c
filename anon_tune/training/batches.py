"""The batches of the game: clips, and the stills that the privacy branches attack.

Shapes: B clips, T frames per clip, S stills per clip, C channels, H height, W width, A attributes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from anon_tune.clips import ClipBatch, ClipSampler, ClipSet, StillSampler
from anon_tune.networks import Anonymizer
from anon_tune.recipe import Recipe
from anon_tune.training.branches import Seen
from anon_tune.training.collective import Collective
from anon_tune.training.demands import check_demands
from anon_tune.training.losses import quantize


class GameBatches:
    """Draws the batches of a game. A batch depends only on the recipe's seed and its index.

    Args:
        recipe: The recipe, with batch sizes, crops and the seed.
        clips: The training split.
        stills: A second training split, whose stills the privacy branches see; None for frames of the clips.
        anonymizer: The anonymizer f_A, which must be able to learn on the stills.
        collective: The workers of the trial; each gets its part of every batch.
        device: The device to which batches are moved.

    Raises:
        RecipeError: As `check_demands`.
    """

    def __init__(
        self,
        recipe: Recipe,
        clips: ClipSet,
        stills: ClipSet | None,
        anonymizer: Anonymizer,
        collective: Collective,
        device: torch.device,
    ) -> None:
        training = recipe.training
        self._training, self._collective, self._device = training, collective, device
        self._num_frames = clips.frames.shape[1]
        num_still_frames = None if stills is None else stills.frames.shape[1]
        check_demands(recipe, self._num_frames, num_still_frames, lambda: anonymizer, "recipe")
        self.sampler = ClipSampler(clips, training.batch_clips, training.seed, crop=training.crop, flip=training.flip)
        self._stills = None if stills is None else _still_sampler(stills, recipe)

    def clips(self, index: int) -> ClipBatch:
        """Return this worker's part of a batch."""
        return self._moved(self.sampler.batch(index, self._collective.world_rank, self._collective.size))

    def seen(self, index: int, batch: ClipBatch, changed: Tensor, anonymizer: Anonymizer) -> Seen:
        """Return what the privacy branches see of a batch.

        Args:
            index: Index of the batch.
            batch: The raw clips of this batch.
            changed: The same clips, anonymized, (B,T,C,H,W).
            anonymizer: f_A, which anonymizes the stills if they are not frames of the clips.
        """
        seed = (self._training.seed * 1_000_003 + index) * self._collective.size + self._collective.world_rank
        if self._stills is not None:
            stills = self._moved(self._stills.batch(index, self._collective.world_rank, self._collective.size))
            frames = quantize(anonymizer(stills.clips))
            return Seen(frames, frames, stills.private, seed)
        rows = torch.arange(len(changed), device=changed.device).unsqueeze(1)
        return Seen(changed[rows, self.frames(index)], changed, batch.private, seed)

    def frames(self, index: int) -> Tensor:
        """Draw the indices (B,S) of the frames of each clip that f_B sees; they differ if T is at least S."""
        training = self._training
        generator = torch.Generator().manual_seed(training.seed * 1_000_003 + index)
        order = torch.rand(training.batch_clips, self._num_frames, generator=generator).argsort(dim=1)
        part = order.chunk(self._collective.size)[self._collective.world_rank]
        wanted = torch.arange(training.stills_per_clip) % self._num_frames
        return part[:, wanted].to(self._device)

    def _moved(self, batch: ClipBatch) -> ClipBatch:
        device = self._device
        return ClipBatch(batch.clips.to(device), batch.actions.to(device), batch.private.to(device), batch.ids)


def _still_sampler(stills: ClipSet, recipe: Recipe) -> StillSampler:
    training = recipe.training
    return StillSampler(
        stills, training.batch_clips, training.stills_per_clip, training.seed, training.crop, training.flip
    )
