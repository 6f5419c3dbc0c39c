"""Networks that classify clips. The attackers and the action classifier of a measurement are built from them.

Shapes: B clips, T frames per clip, C channels, H height, W width, O outputs (attributes or actions).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anon_tune.networks.convolutions import GRID, Readout, small2d, small3d

_COARSE = 16


class StillsReader(nn.Module):
    """Classifies single frames, or differences of successive frames, and averages the logits over the clip.

    In training mode it sees every second frame only, beginning at random with the first or the second.

    Args:
        num_outputs: The number O of outputs.
        width: Channels of the first layer, a multiple of 4.
        moves: True to see only differences of successive frames; a clip of one frame then shows nothing.
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


class ClipReader(nn.Module):
    """Classifies the whole clip in space and time. The action classifier of a measurement is one too.

    Args:
        num_outputs: The number O of outputs.
        width: Channels of the first layer, a multiple of 4.
    """

    def __init__(self, num_outputs: int, width: int) -> None:
        super().__init__()
        self.trunk, num_features = small3d(width)
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


def _every_second(x: Tensor) -> Tensor:
    """Keep every second entry along T, beginning at random with the first or the second."""
    return x[:, int(torch.randint(2, ())) :: 2] if x.shape[1] > 1 else x


def _moves(clips: Tensor) -> Tensor:
    """Return scaled differences of successive frames, (B,T-1,C,H,W), or zeros of the clips' shape if T is 1."""
    return (clips[:, 1:] - clips[:, :-1]) * 4 if clips.shape[1] > 1 else torch.zeros_like(clips)


def _centre(clips: Tensor) -> Tensor:
    return (clips - 0.5) * 4
