"""Pictures of what an anonymizer does: a still one, and one that moves.

Shapes: B clips, T frames per clip, C channels, H height, W width.
"""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anon_tune.clips import Clips
from anon_tune.networks import Anonymizer
from anon_tune.study_directory import TrialDirectory
from anon_tune.video.looping import can_loop, looping_webm

_CLIPS, _FRAMES = 2, 4
_LEGIBLE, _LARGEST = 128, 360  # pixels of the shorter and of the longer side of a frame in a moving preview
_MOST_FRAMES = 150
_GAP = 4  # pixels between clips


def write_previews(anonymizer: Anonymizer, clips: Clips, place: TrialDirectory, device: torch.device) -> None:
    """Write both previews of a trial: the first clip and the middle clip of the test split, before and after.

    Args:
        anonymizer: The anonymizer f_A; it is put into eval mode.
        clips: The clip store.
        place: The trial's directory.
        device: The device to compute on.
    """
    raw, changed = _before_and_after(anonymizer, clips, device)
    with place.preview.writing() as path:
        _write_still(raw, changed, path)
    if can_loop():
        place.moving_preview.write(looping_webm(side_by_side(raw, changed), clips.fps))


@torch.no_grad()
def _before_and_after(anonymizer: Anonymizer, clips: Clips, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return original and anonymized clips, each (B, T, C, H, W) in [0, 1]."""
    test = clips.split("test")
    shown = [k * len(test) // _CLIPS for k in range(_CLIPS)]
    raw = test.clips(shown)
    return raw, anonymizer.to(device).eval()(raw.to(device), test.points_at(shown)).cpu()


def _write_still(raw: Tensor, changed: Tensor, path: Path) -> None:
    """Write a PNG with some frames of each clip, the original frames above the anonymized ones."""
    shown = np.linspace(0, raw.shape[1] - 1, _FRAMES).round().astype(int)
    strips = [clip[:, shown].flatten(0, 1).permute(1, 2, 0, 3).flatten(2) for clip in (raw, changed)]  # (C,H,n*W)
    picture = (torch.cat(strips, dim=1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    _, png = cv2.imencode(".png", picture[..., ::-1])  # OpenCV's colours are blue, green and red
    path.write_bytes(png.tobytes())


def side_by_side(raw: Tensor, changed: Tensor) -> NDArray[np.uint8]:
    """Return frames (T, H', W', 3) with a row per clip: the original on the left, the anonymized one on the right.

    Small frames are enlarged by a whole factor, so that their pixels stay sharp and their colours survive the encoder.
    """
    pairs = torch.stack([raw, changed], dim=1)[:, :, :_MOST_FRAMES]  # (B, 2, T, C, H, W)
    pixels = (pairs.clamp(0, 1) * 255).round().to(torch.uint8).permute(2, 0, 1, 4, 5, 3).numpy()
    return np.stack([np.concatenate([_row(pair) for pair in frame]) for frame in pixels])


def _row(pair: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return one row of a frame with a margin below: (2, H, W, 3) as (H', W', 3)."""
    left, right = (_legible(frame) for frame in pair)
    gap = np.full((left.shape[0], _GAP, 3), 255, np.uint8)
    row = np.concatenate([left, gap, right], axis=1)
    return np.concatenate([row, np.full((_GAP, row.shape[1], 3), 255, np.uint8)])


def _legible(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = frame.shape[:2]
    factor = math.ceil(_LEGIBLE / min(height, width))
    if factor > 1:
        return frame.repeat(factor, axis=0).repeat(factor, axis=1)
    if max(height, width) <= _LARGEST:
        return frame
    scale = _LARGEST / max(height, width)
    size = max(round(width * scale), 2), max(round(height * scale), 2)
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
