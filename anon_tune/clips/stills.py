"""Stills of a second clip store, for privacy branches that do not learn on the clips themselves.

Shapes: B clips of a batch, S stills of each, T frames of a stored clip, C = 3 channels, H height, W width.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from anon_tune.clips.batches import ClipBatch, ClipSampler
from anon_tune.clips.store import Clips, ClipSet
from anon_tune.errors import DataError


class StillSampler:
    """An endless stream of stills with their private labels, each batch a pure function of seed and step.

    Every frame of a stored clip is a still; photographs are clips of one frame. The stills of a clip
    are different frames of it where it has enough, and each has a crop and a mirror of its own, so
    that two of them are two views even where they are one frame.

    Args:
        clip_set: Where the stills come from.
        batch_clips: Clips in a batch, over all parts together, at least 1.
        stills_per_clip: S, at least 1.
        seed: Of order, frames and augmentation.
        crop: As of `ClipSampler`.
        flip: As of `ClipSampler`.
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
        """Return the batch of a step, or one part of it, as `ClipSampler.batch`; `clips` is (B,S,C,H,W) here."""
        num_stills, batch_clips, num_frames = self._shape
        views = [self._sampler.batch(step, part, num_parts, view) for view in range(num_stills)]
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + step)
        order = torch.rand(batch_clips, num_frames, generator=generator).argsort(dim=1).chunk(num_parts)[part]
        rows = torch.arange(len(order))
        stills = [one.clips[rows, order[:, view % num_frames]] for view, one in enumerate(views)]
        return replace(views[0], clips=torch.stack(stills, dim=1))


def check_stills(stills: Clips, clips: Clips) -> None:
    """Refuse stills that a privacy branch cannot learn on, or that the clips are measured on.

    Args:
        stills: Its training split is learned on.
        clips: Its validation and test splits are measured on.

    Raises:
        DataError: There is no training split or no private attribute, or a video is in both.
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
            rule = f"a training still may not be among the clips that {clips.location} measures on"
            raise DataError(stills.location, rule, f"'{entry.id}'", "Import the stills without it")
