"""Frame truth: which frames of a video are abnormal. It is known of the test split at least, or of no clip.

Shapes: N clips, T frames per clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from anon_tune.clips.clip_set import ClipSet

NORMAL = "normal"
"""The action of a video in which nothing abnormal happens. Every other action is an anomaly."""


@dataclass(frozen=True, slots=True)
class FrameTruth:
    """Which frames of a video file are abnormal.

    Attributes:
        spans: First frame, counted from 0, and one past the last frame of every abnormal part; empty for none.
        num_frames: Number of frames for which it is known, which must be that of the file; 0 if that is not said.
    """

    spans: tuple[tuple[int, int], ...]
    num_frames: int = 0

    def of(self, shown: Sequence[int]) -> tuple[bool, ...]:
        """Return for each frame that a clip shows, by its index in the file, whether it is abnormal."""
        return tuple(any(first <= at < end for first, end in self.spans) for at in shown)

    def fault(self, num_frames: int) -> str:
        """Return why this cannot be the truth of a file with so many frames; empty if it can."""
        if self.num_frames and self.num_frames != num_frames:
            return f"has {num_frames} frames, but its frame truth has {self.num_frames}"
        # Published spans may end a little after the file does, so only their beginnings are looked at.
        last = max((first for first, _ in self.spans), default=0)
        return f"has {num_frames} frames, but an abnormal part begins at frame {last}" if last >= num_frames else ""


def as_anomalies(clips: ClipSet) -> ClipSet:
    """Return the clips with 0 as the label of normal clips and 1 as that of abnormal ones, in place of actions."""
    return replace(clips, actions=(clips.actions != clips.normal).astype(np.int64), normal=0)
