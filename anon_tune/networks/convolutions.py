"""Small convolutional trunks for CPU, shared by the co-trained branches and the fresh attackers.

Shapes: N frames or B clips, C = 3 channels, T frames per clip, H height, W width, D feature channels,
O outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GRID = 4
"""Cells a side that the small networks read their features from."""

_GROUPS = 4


class Readout(nn.Module):
    """Averages features over time and over the cells of a grid, then maps them linearly.

    A grid keeps where in the frame a feature was seen, which small networks learn much faster from
    than from a global average.

    Args:
        num_features: D.
        num_outputs: O.
        grid: Cells a side; 1 is the global average.
    """

    def __init__(self, num_features: int, num_outputs: int, grid: int) -> None:
        super().__init__()
        self.grid = grid
        self.linear = nn.Linear(num_features * grid**2, num_outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N,D,h,w) or (B,D,t,h,w) to (N,O) or (B,O)."""
        still = features.mean(dim=2) if features.dim() == 5 else features
        out: Tensor = self.linear(torch.flatten(F.adaptive_avg_pool2d(still, self.grid), 1))
        return out


def small2d(width: int) -> tuple[nn.Sequential, int]:
    """Return a trunk (N,3,H,W) -> (N,4*width,H/8,W/8) and its number of output channels.

    Args:
        width: Channels of the first layer, a multiple of 4.
    """
    layers: list[nn.Module] = []
    for a, b in ((3, width), (width, 2 * width), (2 * width, 4 * width)):
        layers += [nn.Conv2d(a, b, 3, stride=2, padding=1), nn.GroupNorm(_GROUPS, b), nn.ReLU()]
    return nn.Sequential(*layers), 4 * width


def small3d(width: int) -> tuple[nn.Sequential, int]:
    """Return a trunk (B,3,T,H,W) -> (B,4*width,T/4,H/8,W/8) and its number of output channels.

    Args:
        width: Channels of the first layer, a multiple of 4.
    """
    layers: list[nn.Module] = []
    strides = ((1, 2, 2), (2, 2, 2), (2, 2, 2))
    for (a, b), stride in zip(((3, width), (width, 2 * width), (2 * width, 4 * width)), strides, strict=True):
        layers += [nn.Conv3d(a, b, 3, stride=stride, padding=1), nn.GroupNorm(_GROUPS, b), nn.ReLU()]
    return nn.Sequential(*layers), 4 * width
