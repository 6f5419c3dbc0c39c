"""Batches of stills from a second clip store, for a privacy branch that does not learn on the clips themselves.

Shapes: B clips of a batch, S stills of each, T frames of a stored clip, C = 3 channels, H height, W width.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from anon_tune.clips.batches import ClipBatch, ClipSampler
from anon_tune.clips.clip_set import ClipSet
from anon_tune.clips.store import Clips
from anon_tune.errors import DataError


class StillSampler:
    """An endless stream of batches of stills with their private labels. A batch depends only on seed and step.

    Every frame of a stored clip is a still; a photograph is a clip of one frame. The S stills of a clip are different
    frames if the clip has that many. Each still is cropped and mirrored by itself, so two stills are different views
    even if they are the same frame.

    Args:
        clip_set: The clips to draw from.
        batch_clips: Clips in a batch, over all parts together, at least 1.
        stills_per_clip: The number S of stills per clip, at least 1.
        seed: Seed of order, frames and augmentation.
        crop: As in `ClipSampler`.
        flip: As in `ClipSampler`.
    """

    def __init__(
        self,
        clip_set: ClipSet,
        batch_clips: int,
        stills_per_clip: int,
        seed: int,
        crop: float = 1.0,
        flip: bool = False,
    ) -> None:
        self._sampler = ClipSampler(clip_set, batch_clips, seed, crop, flip)
        self._shape = stills_per_clip, batch_clips, clip_set.frames.shape[1]
        self._seed = seed

    def batch(self, step: int, part: int = 0, num_parts: int = 1) -> ClipBatch:
        """Return the batch of a step, or one part of it, like `ClipSampler.batch`, but with `clips` (B, S, C, H, W)."""
        num_stills, batch_clips, num_frames = self._shape
        views = [self._sampler.batch(step, part, num_parts, view) for view in range(num_stills)]
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + step)
        order = torch.rand(batch_clips, num_frames, generator=generator).argsort(dim=1).chunk(num_parts)[part]
        rows = torch.arange(len(order))
        stills = [one.clips[rows, order[:, view % num_frames]] for view, one in enumerate(views)]
        return replace(views[0], clips=torch.stack(stills, dim=1))


def check_stills(stills: Clips, clips: Clips) -> None:
    """Check that a privacy branch can learn on stills, and that trials are not measured on the same clips.

    Args:
        stills: The store whose training split the privacy branch learns on.
        clips: The store on whose validation and test splits trials are measured.

    Raises:
        DataError: The stills have no training split or no private attribute with two values, or a training still is
            among the clips that trials are measured on.
    """
    learned = stills.split("train")
    if not stills.attributes:
        remedy = "Import stills with private labels, such as vispr"
        raise DataError(stills.location, "the stills need a private attribute", remedy=remedy)
    if not np.any(learned.private.min(axis=0) < learned.private.max(axis=0)):
        rule = "no private attribute of the training stills has two values"
        raise DataError(stills.location, rule, remedy="Import more of them")
    measured = [entry for entry in clips.manifest.entries if entry.split != "train"]
    names, contents = {entry.id for entry in measured}, {entry.content_hash for entry in measured}
    for entry in stills.manifest.entries:
        if entry.split == "train" and (entry.id in names or entry.content_hash in contents):
            rule = f"a training still must not be a validation or test clip of {clips.location}"
            raise DataError(stills.location, rule, f"'{entry.id}'", "Import the stills without it")
