"""The reconstruction attacker: a U-Net that learns to restore the raw frames.

Shapes: N frames or clips, T frames per clip, C channels, H height, W width.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, optim
from torch.nn import functional as F

from anon_tune.certificate import Reconstruction
from anon_tune.clips import ClipSet, epoch_batches
from anon_tune.evaluation.image_similarity import psnr, ssim
from anon_tune.evaluation.score import anonymize_split
from anon_tune.networks import FrameAnonymizer
from anon_tune.networks.anonymizers import UNet
from anon_tune.recipe import AuditRecipe

_CHANNELS = (16, 32, 64)
_BATCH_FRAMES = 16


def fit_reconstruction(raw: ClipSet, changed: ClipSet, effort: AuditRecipe, device: torch.device) -> FrameAnonymizer:
    """Train a U-Net from anonymized frames to raw frames with L1, for a fixed number of steps.

    It sees one frame at a time, so it cannot combine what an anonymizer spreads over several frames.

    Args:
        raw: The training split.
        changed: The same clips, anonymized.
        effort: Only its reconstruction_steps, lr and seed count.
        device: Where to compute.
    """
    num_clips, num_frames = raw.frames.shape[:2]
    rng = np.random.default_rng(effort.seed)
    with torch.random.fork_rng():
        torch.manual_seed(effort.seed)
        network = FrameAnonymizer(UNet(_CHANNELS).to(memory_format=torch.channels_last)).to(device).train()
    optimizer = optim.Adam(network.parameters(), lr=effort.lr)
    cycle = optim.lr_scheduler.OneCycleLR(optimizer, effort.lr, effort.reconstruction_steps)
    for _ in range(effort.reconstruction_steps):
        rows, at = rng.integers(num_clips, size=_BATCH_FRAMES), rng.integers(num_frames, size=_BATCH_FRAMES)
        given, wanted = (_stills(clips, rows, at).to(device) for clips in (changed, raw))
        loss = F.l1_loss(network(given), wanted)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        cycle.step()
    return network


def read_reconstruction(
    network: FrameAnonymizer,
    raw: ClipSet,
    changed: ClipSet,
    leakage: Callable[[ClipSet], float],
    batch_clips: int,
    device: torch.device,
) -> Reconstruction:
    """Measure a reconstruction attacker on the test split.

    Args:
        network: The trained U-Net.
        raw: The test split.
        changed: The same clips, anonymized.
        leakage: Returns the cMAP, on given clips, of a recognizer that was trained on raw clips.
        batch_clips: Clips per batch.
        device: Where to compute.
    """
    with tempfile.TemporaryDirectory(prefix="anon-tune-") as scratch:
        made = anonymize_split(network, changed, Path(scratch) / "frames", batch_clips, device).clips
        (psnr_after, ssim_after), (psnr_before, ssim_before) = (
            _similarity(clips, raw, batch_clips) for clips in (made, changed)
        )
        return Reconstruction(
            psnr=psnr_after,
            ssim=ssim_after,
            psnr_before=psnr_before,
            ssim_before=ssim_before,
            leakage=leakage(made),
        )


def _similarity(one: ClipSet, two: ClipSet, batch_clips: int) -> tuple[float, float]:
    """Return the mean PSNR and SSIM over the frames of two splits of the same clips."""
    sums, num = np.zeros(2), 0
    pairs = (epoch_batches(clips, batch_clips, 0, 0, shuffle=False) for clips in (one, two))
    for a, b in zip(*pairs, strict=True):
        frames = a.clips.flatten(0, 1), b.clips.flatten(0, 1)
        sums += [float(psnr(*frames).sum()), float(ssim(*frames).sum())]
        num += len(frames[0])
    return float(sums[0] / num), float(sums[1] / num)


def _stills(
    clips: ClipSet, rows: np.ndarray[tuple[int], np.dtype[np.int64]], at: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> Tensor:
    """Return one frame of each clip, as clips of one frame (N,1,C,H,W) in [0, 1]."""
    frames = torch.from_numpy(clips.frames[rows, at]).permute(0, 3, 1, 2)
    return frames.unsqueeze(1).float() / 255
