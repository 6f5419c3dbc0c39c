"""Fresh attackers and classifiers: trained from scratch on anonymized clips, then read once.

Shapes: B clips, T frames a clip, C channels, H height, W width, O outputs (attributes or actions).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice
from typing import Literal

import torch
from torch import Tensor, nn, optim
from torch.nn import functional as F

from anon_tune.clips import ClipBatch, ClipSet, epoch_batches
from anon_tune.networks.convolutions import GRID, Readout, small2d, small3d

Target = Literal["private", "action"]

FAMILIES = ("frame", "clip", "motion", "pixels")
"""Attacker families, in the order in which a smaller effort takes them; a study takes three at most."""

_COARSE = 16


class StillsAttacker(nn.Module):
    """Looks at frames one by one and averages what it thinks: appearance, or movement.

    In training it sees every second frame, which one of the two drawn anew each time.

    Args:
        num_outputs: O.
        width: Channels of the first layer, a multiple of 4.
        moves: Look at differences of successive frames only; a clip of one frame then shows nothing.
    """

    def __init__(self, num_outputs: int, width: int, moves: bool = False) -> None:
        super().__init__()
        self.moves = moves
        self.trunk, num_features = small2d(width)
        self.head = Readout(num_features, num_outputs, GRID)

    def forward(self, clips: Tensor) -> Tensor:
        """Map clips (B,T,C,H,W) in [0, 1] to logits (B,O)."""
        stills = _moves(clips) if self.moves else clips
        stills = _every_second(stills) if self.training else stills
        seen = stills if self.moves else _centre(stills)
        logits: Tensor = self.head(self.trunk(seen.flatten(0, 1)))
        return logits.view(*stills.shape[:2], -1).mean(dim=1)


class ClipAttacker(nn.Module):
    """Looks at the whole clip in space and time; also the action classifier."""

    def __init__(self, num_outputs: int, width: int) -> None:
        super().__init__()
        self.trunk, num_features = small3d(width)
        self.head = Readout(num_features, num_outputs, GRID)

    def forward(self, clips: Tensor) -> Tensor:
        """Map clips (B,T,C,H,W) in [0, 1] to logits (B,O)."""
        logits: Tensor = self.head(self.trunk(_centre(clips).transpose(1, 2)))
        return logits


class PixelAttacker(nn.Module):
    """Looks at the coarse colours of the mean frame, without any convolution."""

    def __init__(self, num_outputs: int, width: int) -> None:
        super().__init__()
        num_pixels = 3 * _COARSE**2
        self.head = nn.Sequential(
            nn.Linear(num_pixels, 4 * width), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4 * width, num_outputs)
        )

    def forward(self, clips: Tensor) -> Tensor:
        """Map clips (B,T,C,H,W) in [0, 1] to logits (B,O)."""
        coarse = F.adaptive_avg_pool2d(_centre(clips).mean(dim=1), _COARSE)
        logits: Tensor = self.head(coarse.flatten(1))
        return logits


def build_attacker(family: str, num_outputs: int, width: int) -> nn.Module:
    """Build one attacker of a family with fresh weights."""
    match family:
        case "frame":
            return StillsAttacker(num_outputs, width)
        case "clip":
            return ClipAttacker(num_outputs, width)
        case "motion":
            return StillsAttacker(num_outputs, width, moves=True)
        case "pixels":
            return PixelAttacker(num_outputs, width)
    raise ValueError(f"family must be one of {', '.join(FAMILIES)}, got {family!r}")


def fit(
    network: nn.Module,
    clips: ClipSet,
    target: Target,
    num_steps: int,
    batch_clips: int,
    lr: float,
    seed: int,
    device: torch.device,
) -> None:
    """Train a network in place on a split: cross-entropy on actions, BCE on private attributes.

    The effort is fixed in steps, whatever the size of the split, and the last weights count: there is no
    epoch to select. Adam with one cycle of the learning rate, ending near 0.
    """
    network.to(device).train()
    optimizer = optim.Adam(network.parameters(), lr=lr)
    cycle = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=num_steps, pct_start=0.3)
    for batch in islice(endless(clips, batch_clips, seed), num_steps):
        loss = loss_of(network, batch, target, device)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        cycle.step()


def loss_of(network: nn.Module, batch: ClipBatch, target: Target, device: torch.device) -> Tensor:
    """Return the cross-entropy on actions or the BCE on private attributes, a scalar with gradient."""
    logits = network(batch.clips.to(device))
    if target == "action":
        return F.cross_entropy(logits, batch.actions.to(device))
    return F.binary_cross_entropy_with_logits(logits, batch.private.to(device))


def shifted(clips: Tensor, most: int) -> Tensor:
    """Shift clips (B,T,C,H,W), each by its own draw of up to ``most`` pixels; what was at the border repeats."""
    down, right = torch.randint(-most, most + 1, (2, len(clips), 1))
    rows, columns = (
        (torch.arange(size) + by).clamp(0, size - 1) for size, by in zip(clips.shape[-2:], (down, right), strict=True)
    )
    moved = clips[torch.arange(len(clips))[:, None, None], :, :, rows[:, :, None], columns[:, None]]
    return moved.permute(0, 3, 4, 1, 2)


def endless(clips: ClipSet, batch_clips: int, seed: int) -> Iterator[ClipBatch]:
    """Yield shuffled batches, epoch after epoch; a pure function of the seed."""
    for epoch in count():
        yield from epoch_batches(clips, batch_clips, epoch, seed, shuffle=True)


@torch.no_grad()
def predict(network: nn.Module, clips: ClipSet, batch_clips: int, device: torch.device) -> Tensor:
    """Return the logits of every clip of a split in its order, (N,O) on the CPU.

    Kernels differ in the last bits by the size of a batch and the place in it, and that noise must not
    break the ties of an attacker that sees nothing: the last batch is filled up by repeating its clips,
    and logits are rounded to 5 decimals.
    """
    network.eval()
    parts: list[Tensor] = []
    for batch in epoch_batches(clips, batch_clips, 0, 0, shuffle=False):
        filled = batch.clips[torch.arange(batch_clips) % len(batch)]
        parts.append(network(filled.to(device))[: len(batch)].cpu())
    return torch.cat(parts).double().round(decimals=5)


def _every_second(x: Tensor) -> Tensor:
    """Keep every second entry along T, from the first or the second on by a draw."""
    return x[:, int(torch.randint(2, ())) :: 2] if x.shape[1] > 1 else x


def _moves(clips: Tensor) -> Tensor:
    """Return differences of successive frames (B,T-1,C,H,W), or zeros where there is one frame only."""
    return (clips[:, 1:] - clips[:, :-1]) * 4 if clips.shape[1] > 1 else torch.zeros_like(clips)


def _centre(clips: Tensor) -> Tensor:
    return (clips - 0.5) * 4
