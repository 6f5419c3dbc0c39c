"""Networks that classify clips. The attackers and the action classifier of a measurement are built from them.

Their layers normalize over the batch: on clips of this size they learn several times faster than by groups. They are
fresh in every measurement and never part of an anonymizer, so what one clip sees of another in training does no harm.

Shapes: N stills, B clips, T frames per clip, C channels, H height, W width, D features, O outputs (attributes or
actions).
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anon_tune.networks.convolutions import GRID, Readout
from anon_tune.networks.filters import pixelate

_COARSE = 16


class StillsReader(nn.Module):
    """Classifies single frames, or differences of successive frames, and averages the logits over the clip.

    In training it sees one frame of a clip, drawn anew each time, so that it sees more clips in the same time.

    Args:
        num_outputs: O.
        width: Channels of the first layer.
        depth: Number of layers, see `depth_for`.
        moves: Look at differences of successive frames only; a clip of one frame then shows nothing.
    """

    def __init__(self, num_outputs: int, width: int, depth: int, moves: bool = False) -> None:
        super().__init__()
        self.moves = moves
        self.trunk, num_features = _trunk2d(width, depth)
        self.head = Readout(num_features, num_outputs, GRID)

    def forward(self, clips: Tensor) -> Tensor:
        """Map clips (B,T,C,H,W) in [0, 1] to logits (B,O)."""
        stills = _moves(clips) if self.moves else clips
        stills = _one_of_each(stills) if self.training else stills
        seen = stills if self.moves else _centre(stills)
        logits: Tensor = self.head(self.trunk(seen.flatten(0, 1)))
        return logits.view(*stills.shape[:2], -1).mean(dim=1)


class ClipReader(nn.Module):
    """Classifies the whole clip in space and time. The action classifier of a measurement is one too.

    Args:
        num_outputs: O.
        width: Channels of the first layer.
        depth: Number of layers, see `depth_for`.
    """

    def __init__(self, num_outputs: int, width: int, depth: int) -> None:
        super().__init__()
        self.trunk, num_features = _trunk3d(width, depth)
        self.head = Readout(num_features, num_outputs, GRID)

    def forward(self, clips: Tensor) -> Tensor:
        """Map clips (B,T,C,H,W) in [0, 1] to logits (B,O)."""
        logits: Tensor = self.head(self.trunk(_centre(clips).transpose(1, 2)))
        return logits


class CoarseReader(nn.Module):
    """Classifies the mean frame at 16 x 16 pixels, without convolutions.

    Args:
        num_outputs: The number O of outputs.
        width: A quarter of the number of hidden units.
    """

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


class BandReader(nn.Module):
    """Classifies single frames by one band of the Haar transform of one level, and averages the logits over the clip.

    Args:
        num_outputs: O.
        width: Channels of the first layer.
        size: H and W of a frame.
        details: Look at the details, which are the frames without the mean of each block of 2x2 pixels; else at the
            low band, which is these means.
    """

    def __init__(self, num_outputs: int, width: int, size: tuple[int, int], details: bool) -> None:
        super().__init__()
        self.details = details
        height, width_px = size if details else (max(1, size[0] // 2), max(1, size[1] // 2))
        self.reader = StillsReader(num_outputs, width, depth_for(height, width_px))

    def forward(self, clips: Tensor) -> Tensor:
        """Map clips (B,T,C,H,W) in [0, 1] to logits (B,O)."""
        frames = clips.flatten(0, 1)
        if self.details:
            band = 0.5 + 2 * (frames - pixelate(frames, 2))
        else:
            band = F.avg_pool2d(frames, 2, ceil_mode=True, count_include_pad=False)
        logits: Tensor = self.reader(band.unflatten(0, clips.shape[:2]))
        return logits


class MaskReader(nn.Module):
    """Classifies clips by a mask alone, which is enlarged to the size of a clip.

    Args:
        num_outputs: O.
        width: Channels of the first layer.
        clip_shape: T, H and W of a clip.
    """

    def __init__(self, num_outputs: int, width: int, clip_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.clip_shape = clip_shape
        self.reader = ClipReader(num_outputs, width, depth_for(*clip_shape[1:]))

    def forward(self, clips: Tensor, mask: Tensor) -> Tensor:
        """Map masks (B,t,h,w) in [0, 1] to logits (B,O), whatever the clips (B,T,C,H,W) show."""
        volume = F.interpolate(mask.unsqueeze(1), self.clip_shape, mode="nearest")
        logits: Tensor = self.reader(volume.transpose(1, 2).expand(-1, -1, 3, -1, -1))
        return logits


def depth_for(height: int, width: int) -> int:
    """Return how many layers, each of which halves a frame, bring its shorter side to about four pixels; 2 to 5."""
    return min(5, max(2, round(math.log2(min(height, width) / GRID))))


def _trunk2d(width: int, depth: int) -> tuple[nn.Sequential, int]:
    """Return a trunk (N,3,H,W) -> (N,D,H/2^depth,W/2^depth) and D."""
    layers: list[nn.Module] = []
    for a, b in pairwise(_channels(width, depth)):
        layers += [nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
    return nn.Sequential(*layers), b


def _trunk3d(width: int, depth: int) -> tuple[nn.Sequential, int]:
    """Return a trunk (B,3,T,H,W) -> (B,D,T/4,H/2^depth,W/2^depth) and D.

    The first two layers halve time too, so that the layers on many pixels, which cost most, work on few frames.
    """
    layers: list[nn.Module] = []
    for at, (a, b) in enumerate(pairwise(_channels(width, depth))):
        stride = (2 if at < 2 else 1, 2, 2)
        layers += [nn.Conv3d(a, b, 3, stride=stride, padding=1, bias=False), nn.BatchNorm3d(b), nn.ReLU()]
    return nn.Sequential(*layers).to(memory_format=torch.channels_last_3d), b  # half the time on CPU


def _channels(width: int, depth: int) -> list[int]:
    """Return the channels before the first layer and after each; they double up to 8 times the width."""
    return [3, *(width * 2 ** min(at, 3) for at in range(depth))]


def _one_of_each(x: Tensor) -> Tensor:
    """Keep one entry along T (B,1,...), drawn for each clip."""
    rows = torch.arange(len(x), device=x.device)
    return x[rows, torch.randint(x.shape[1], (len(x),)).to(x.device)][:, None]


def _moves(clips: Tensor) -> Tensor:
    """Return scaled differences of successive frames, (B,T-1,C,H,W), or zeros of the clips' shape if T is 1."""
    return (clips[:, 1:] - clips[:, :-1]) * 4 if clips.shape[1] > 1 else torch.zeros_like(clips)


def _centre(clips: Tensor) -> Tensor:
    return (clips - 0.5) * 4
