"""Small convolutional trunks for CPU, shared by the co-trained branches and the fresh attackers.

Shapes: N frames or B clips, C = 3 channels, T frames a clip, H height, W width.
"""

from __future__ import annotations

from torch import nn

_GROUPS = 4


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
