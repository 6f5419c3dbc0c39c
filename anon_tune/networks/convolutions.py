"""Small convolutional networks for CPUs, shared by the co-trained branches and the attackers.

Shapes: N frames or B clips, C = 3 channels, T frames per clip, H height, W width, D feature channels,
O outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GRID = 4
"""Side of the grid, in cells, over which the small networks average their features."""

_GROUPS = 4


class Readout(nn.Module):
    """Averages features over time and over each cell of a grid, then maps them linearly to outputs.

    The grid keeps the place of a feature in the frame. Small networks learn much faster with it than with a global
    average.

    Args:
        num_features: The number D of feature channels.
        num_outputs: The number O of outputs.
        grid: Side of the grid in cells; 1 for the global average.
    """

    def __init__(self, num_features: int, num_outputs: int, grid: int) -> None:
        super().__init__()
        self.grid = grid
        self.linear = nn.Linear(num_features * grid**2, num_outputs)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N,D,h,w) to (N,O), or features (B,D,t,h,w) to (B,O)."""
        still = features.mean(dim=2) if features.dim() == 5 else features
        out: Tensor = self.linear(torch.flatten(F.adaptive_avg_pool2d(still, self.grid), 1))
        return out


def small2d(width: int) -> tuple[nn.Sequential, int]:
    """Return a trunk that maps (N,3,H,W) to (N,4*width,H/8,W/8), and its number of output channels.

    Args:
        width: Channels of the first layer, a multiple of 4.
    """
    layers: list[nn.Module] = []
    for a, b in ((3, width), (width, 2 * width), (2 * width, 4 * width)):
        layers += [nn.Conv2d(a, b, 3, stride=2, padding=1), nn.GroupNorm(_GROUPS, b), nn.ReLU()]
    return nn.Sequential(*layers), 4 * width


def small3d(width: int) -> tuple[nn.Sequential, int]:
    """Return a trunk that maps (B,3,T,H,W) to (B,4*width,T/4,H/8,W/8), and its number of output channels.

    Args:
        width: Channels of the first layer, a multiple of 4.
    """
    layers: list[nn.Module] = []
    strides = ((1, 2, 2), (2, 2, 2), (2, 2, 2))
    for (a, b), stride in zip(((3, width), (width, 2 * width), (2 * width, 4 * width)), strides, strict=True):
        layers += [nn.Conv3d(a, b, 3, stride=stride, padding=1), nn.GroupNorm(_GROUPS, b), nn.ReLU()]
    return nn.Sequential(*layers), 4 * width
