"""The labels of a clip before it is in a store."""

from __future__ import annotations

from dataclasses import dataclass

from anon_tune.clips.frame_truth import FrameTruth


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of a clip, which are known before its frames are read; the fields are those of `ClipEntry`.

    Attributes:
        truth: Which frames of its file are abnormal; None if that is not known.
    """

    id: str
    file: str
    split: str
    group: str
    action: str
    private: tuple[bool, ...]
    truth: FrameTruth | None = None
