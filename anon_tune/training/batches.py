"""The batches of the game: clips, and the stills that the privacy branches attack.

Shapes: B clips, T frames per clip, S stills per clip, C channels, H height, W width, A attributes.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from anon_tune.clips import ClipBatch, ClipSampler, ClipSet, StillSampler
from anon_tune.clips.ahead import ReadAhead
from anon_tune.clips.batches import StoredBatch
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
        views = training.crop, training.flip, training.jitter
        self.sampler = ClipSampler(clips, training.batch_clips, training.seed, *views)
        self._clips = ReadAhead(self._read, training.read_ahead)
        self._stills: ReadAhead[ClipBatch] | None = None
        if stills is not None:
            sampler = _still_sampler(stills, recipe)
            self._stills = ReadAhead(lambda at: sampler.batch(*self._part(at)), training.read_ahead)

    def clips(self, index: int, part: int = 0) -> ClipBatch:
        """Return a part of this worker's part of a batch: all of it, or as the recipe's ``accumulate`` cuts it."""
        return self.sampler.shown(self._clips[index * self._training.accumulate + part], self._device)

    def _read(self, at: int) -> StoredBatch:
        stored = self.sampler.stored(*self._part(at))
        pins = self._device.type == "cuda" and self._training.read_ahead > 0
        return replace(stored, views=stored.views.pinned()) if pins else stored

    def _part(self, at: int) -> tuple[int, int, int]:
        """Return the index of a batch, the part of it and the number of parts over all workers."""
        index, part = divmod(at, self._training.accumulate)
        return index, *self._place(part)

    def _place(self, part: int) -> tuple[int, int]:
        num_parts = self._training.accumulate
        return self._collective.world_rank * num_parts + part, self._collective.size * num_parts

    def seen(self, index: int, batch: ClipBatch, changed: Tensor, anonymizer: Anonymizer, part: int = 0) -> Seen:
        """Return what the privacy branches see of a batch.

        Args:
            index: Index of the batch.
            batch: The raw clips of this batch.
            changed: The same clips, anonymized, (B,T,C,H,W).
            anonymizer: f_A, which anonymizes the stills if they are not frames of the clips.
            part: The part of the batch, as for `clips`.
        """
        at, num_parts = self._place(part)
        seed = (self._training.seed * 1_000_003 + index) * num_parts + at
        if self._stills is not None:
            stills = self._moved(self._stills[index * self._training.accumulate + part])
            frames = quantize(anonymizer(stills.clips))
            return Seen(frames, frames, stills.private, seed)
        rows = torch.arange(len(changed), device=changed.device).unsqueeze(1)
        return Seen(changed[rows, self.frames(index, part)], changed, batch.private, seed)

    def frames(self, index: int, part: int = 0) -> Tensor:
        """Draw the indices (B,S) of the frames of each clip that f_B sees; they differ if T is at least S."""
        training = self._training
        generator = torch.Generator().manual_seed(training.seed * 1_000_003 + index)
        order = torch.rand(training.batch_clips, self._num_frames, generator=generator).argsort(dim=1)
        at, num_parts = self._place(part)
        wanted = torch.arange(training.stills_per_clip) % self._num_frames
        return order.chunk(num_parts)[at][:, wanted].to(self._device)

    def _moved(self, batch: ClipBatch) -> ClipBatch:
        device = self._device
        return ClipBatch(batch.clips.to(device), batch.actions.to(device), batch.private.to(device), batch.ids)


def _still_sampler(stills: ClipSet, recipe: Recipe) -> StillSampler:
    training = recipe.training
    return StillSampler(
        stills, training.batch_clips, training.stills_per_clip, training.seed, training.crop, training.flip
    )
