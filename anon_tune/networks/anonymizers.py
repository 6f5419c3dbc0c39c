"""Anonymizers f_A, modules from clips to clips, and the network that rewrites frames.

Shapes: B clips, T frames per clip, N frames, C = 3 channels (RGB), H height, W width.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anon_tune.recipe import AnonymizerRecipe


class Anonymizer(nn.Module):
    """Maps clips (B,T,3,H,W) in [0, 1] to clips of the same shape and range.

    The consecutive frames of one clip (T,3,H,W) are taken as well, and come back without B.
    Subclasses define `rewrite`; the range is kept here, so that no subclass can leave it.

    Attributes:
        num_before: How many frames before it a frame's output depends on; None for all frames of the clip.
    """

    num_before: int | None = 0

    def rewrite(self, clips: Tensor) -> Tensor:
        """Map (B,T,3,H,W) to (B,T,3,H,W)."""
        raise NotImplementedError

    def forward(self, clips: Tensor) -> Tensor:
        """Map (B,T,3,H,W) or (T,3,H,W) to the same shape, in [0, 1]."""
        if clips.dim() == 4:
            return self.rewrite(clips.unsqueeze(0)).clamp(0, 1).squeeze(0)
        kept: Tensor = self.rewrite(clips).clamp(0, 1)
        return kept


class FrameAnonymizer(Anonymizer):
    """Rewrites every frame by itself with an inner network (N,3,H,W) -> (N,3,H,W).

    Only the leading B and T are merged: channels and time are never mixed.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def rewrite(self, clips: Tensor) -> Tensor:
        frames: Tensor = self.network(clips.flatten(0, 1))
        return frames.reshape(clips.shape)


class _Block(nn.Sequential):
    """Two 3x3 convolutions. GroupNorm, not BatchNorm: nothing depends on the other clips of a batch."""

    def __init__(self, num_in: int, num_out: int) -> None:
        layers: list[nn.Module] = []
        for channels in (num_in, num_out):
            layers += [nn.Conv2d(channels, num_out, 3, padding=1), nn.GroupNorm(_groups(num_out), num_out), nn.ReLU()]
        super().__init__(*layers)


class UNet(nn.Module):
    """U-Net with a sigmoid, on frames (N,3,H,W) in [0, 1], of any H and W.

    Halves the resolution between levels by 2x2 average pooling, goes up bilinearly and joins the
    skip of each level. With a fold of 2 it works on 2x2 pixels as 12 channels, for a quarter
    of the work. There is no path around the network from input to output: one would bring it to the
    identity sooner, but what it carries is then hard to hide.

    Args:
        channels: Channels of each level, first to deepest.
        fold: Side of the pixel blocks that become channels; 1 folds nothing.

    Source:
        Ronneberger et al., arXiv:1505.04597, in the form SPAct (arXiv:2203.15205) uses: 64 to 512
        channels, bilinear, sigmoid. We normalize by groups where SPAct normalizes by batch; the
        fold is ours.
    """

    def __init__(self, channels: tuple[int, ...], fold: int = 1) -> None:
        super().__init__()
        self.fold, self.multiple = fold, fold * 2 ** (len(channels) - 1)
        num_pixels = 3 * fold**2
        self.down = nn.ModuleList(_Block(a, b) for a, b in pairwise((num_pixels, *channels)))
        self.up = nn.ModuleList(_Block(a + b, b) for a, b in pairwise(channels[::-1]))
        self.out = nn.Conv2d(channels[0], num_pixels, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """Map (N,3,H,W) to (N,3,H,W)."""
        height, width = frames.shape[-2:]
        border = (0, -width % self.multiple, 0, -height % self.multiple)
        x = F.pixel_unshuffle(F.pad(frames, border, mode="replicate"), self.fold)
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else F.avg_pool2d(x, 2))
            skips.append(x)
        skips.pop()
        for block in self.up:
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = block(torch.cat([x, skips.pop()], dim=1))
        return torch.sigmoid(F.pixel_shuffle(self.out(x), self.fold))[..., :height, :width]


def build_unet(recipe: AnonymizerRecipe) -> FrameAnonymizer:
    """Build SPAct's U-Net, 64 to 512 channels, with fresh weights."""
    return FrameAnonymizer(UNet((64, 128, 256, 512, 512)))


def build_unet_small(recipe: AnonymizerRecipe) -> FrameAnonymizer:
    """Build a U-Net of two levels that works on 2x2 pixels, with fresh weights."""
    return FrameAnonymizer(UNet((recipe.base_channels, 2 * recipe.base_channels), fold=2))


def _groups(channels: int) -> int:
    return next(g for g in (8, 4, 3, 2, 1) if channels % g == 0)
