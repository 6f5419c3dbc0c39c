"""The base class of all anonymizers f_A, which map clips to clips, and the U-Net that rewrites frames.

Shapes: B clips, T frames per clip, N frames, C = 3 channels (RGB), H height, W width, F frames of a window.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anon_tune.networks.filters import pixelate
from anon_tune.recipe import AnonymizerRecipe


class Anonymizer(nn.Module):
    """Maps clips (B,T,3,H,W) in [0, 1] to clips of the same shape and range.

    It also takes the frames of one clip, (T,3,H,W), and returns them in this shape. Subclasses define `rewrite`. The
    output is clamped to [0, 1] here, so that no subclass can leave the range.

    Attributes:
        num_before: The number of earlier frames that an output frame depends on; None for all frames of the clip.
        num_after: The number of later frames that an output frame depends on; without meaning if `num_before` is None.
        clip_frames: If `num_before` is None, the number of frames of the clips it was trained on, which a video is
            given in; None for any number.
        sees_frames_once: True if no frame of a video may be in two of these clips, as each clip is a private release.
    """

    num_before: int | None = 0
    num_after: int = 0
    sees_frames_once: bool = False

    @property
    def clip_frames(self) -> int | None:
        return None

    def rewrite(self, clips: Tensor) -> Tensor:
        """Map clips (B,T,3,H,W) to clips of the same shape, of any range."""
        raise NotImplementedError

    def rewrite_by(self, clips: Tensor, keypoints: Tensor) -> Tensor:
        """Map clips as `rewrite` does, knowing the key points (B,T,P,17,3) of the people in them.

        See `anon_tune.clips.keypoints`. An anonymizer that has a use for them overrides this.
        """
        return self.rewrite(clips)

    @property
    def uses_keypoints(self) -> bool:
        """True if key points change the output."""
        return type(self).rewrite_by is not Anonymizer.rewrite_by

    def forward(self, clips: Tensor, keypoints: Tensor | None = None) -> Tensor:
        """Map clips (B,T,3,H,W) or (T,3,H,W) in [0, 1] to the same shape and range.

        Args:
            clips: The clips.
            keypoints: The key points of the people in the clips, (B,T,P,17,3) or (T,P,17,3); None if unknown.
        """
        if clips.dim() == 4:
            return self.forward(clips.unsqueeze(0), None if keypoints is None else keypoints.unsqueeze(0)).squeeze(0)
        made = self.rewrite(clips) if keypoints is None else self.rewrite_by(clips, keypoints)
        kept: Tensor = made.to(clips.dtype).clamp(0, 1)  # a network may compute in fewer bits
        return kept


class FrameAnonymizer(Anonymizer):
    """Rewrites every frame with a network that sees the frame, and perhaps its neighbours.

    The network maps windows (N,3F,H,W) to frames (N,3,H,W). A window is a frame with its neighbours in the order of
    time, F = num_before + 1 + num_after frames joined along the channels. B and T are merged into N, so the network
    never sees two windows together. At either end of a clip, the first or last frame stands for those that are missing.

    Args:
        network: The network.
        num_before: Earlier frames in a window.
        num_after: Later frames in a window.
        bottleneck: What the outputs pass through; None for nothing.
    """

    def __init__(
        self, network: nn.Module, num_before: int = 0, num_after: int = 0, bottleneck: Bottleneck | None = None
    ) -> None:
        super().__init__()
        self.network, self.num_before, self.num_after = network, num_before, num_after
        self.bottleneck = bottleneck or Bottleneck()
        self.base: Anonymizer | None = None

    def change(self, base: Anonymizer) -> None:
        """Let the network change the outputs of another anonymizer, which needs no more frames than the network sees.

        A factor on the network's output, a weight that starts at 0, makes the outputs those of the other at first.
        """
        self.base, self.gain = base, nn.Parameter(torch.zeros(()))

    def rewrite(self, clips: Tensor) -> Tensor:
        return self.bottleneck.narrow(self.wide(clips)).reshape(clips.shape)

    def wide(self, clips: Tensor) -> Tensor:
        """Map clips (B,T,3,H,W) to frames (B T,3,H,W) before the bottleneck."""
        frames: Tensor = self.network(windows(clips, self.num_before or 0, self.num_after).flatten(0, 1))
        if self.base is not None:
            frames = (self.base(clips).flatten(0, 1) + self.gain * (2 * frames - 1)).clamp(0, 1)
        return frames


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """Takes information out of frames in [0, 1], so that a network cannot hide faint details in its output.

    What is left is coarse, and a privacy branch sees it as well as a fresh attacker does.

    Attributes:
        grey: True to show all three channels as their mean.
        block: Side in pixels of the blocks of which only the mean is left; 1 to keep every pixel.
        levels: Number of levels that a pixel can have, evenly spaced from 0 to 1. With 256, frames stay as they are.

    Source:
        The quantization of BDQ (arXiv:2208.02459). We differ: the levels are fixed, and the rounding has the gradient
        of the identity.
    """

    grey: bool = False
    block: int = 1
    levels: int = 256

    def narrow(self, frames: Tensor) -> Tensor:
        """Map frames (N,3,H,W) in [0, 1] to the same shape and range. Rounding has the gradient of the identity."""
        if self.grey:
            frames = frames.mean(dim=1, keepdim=True).expand_as(frames)
        if self.block > 1:
            frames = pixelate(frames, self.block)
        if self.levels < 256:
            steps = frames * (self.levels - 1)
            frames = (steps.detach().round() + (steps - steps.detach())) / (self.levels - 1)
        return frames


def _bottleneck(recipe: AnonymizerRecipe) -> Bottleneck:
    return Bottleneck(recipe.grey, recipe.block, recipe.levels)


def windows(clips: Tensor, num_before: int, num_after: int) -> Tensor:
    """Return the window of every frame of clips (B,T,3,H,W), as (B,T,3F,H,W); see `FrameAnonymizer`."""
    if not num_before and not num_after:
        return clips
    longer = torch.cat([*[clips[:, :1]] * num_before, clips, *[clips[:, -1:]] * num_after], dim=1)
    num_frames = clips.shape[1]
    return torch.cat([longer[:, at : at + num_frames] for at in range(num_before + 1 + num_after)], dim=2)


class _Block(nn.Sequential):
    """Two 3x3 convolutions. With GroupNorm, not BatchNorm, no output depends on the other clips of a batch."""

    def __init__(self, num_in: int, num_out: int) -> None:
        layers: list[nn.Module] = []
        for channels in (num_in, num_out):
            layers += [
                nn.Conv2d(channels, num_out, 3, padding=1),
                nn.GroupNorm(_groups(num_out), num_out),
                nn.ReLU(inplace=True),
            ]
        super().__init__(*layers)


class UNet(nn.Module):
    """A U-Net with a sigmoid at the end, on windows of frames (N,3F,H,W) in [0, 1] of any H and W.

    The resolution is halved between levels by 2x2 average pooling. On the way up it is doubled bilinearly, and the
    features of each level from the way down are joined. With ``fold=2``, the network works on 2x2 pixels as 12
    channels, which takes a quarter of the time. There is no skip connection from the input to the output. It would
    help the network to learn the identity, but then the network could hardly hide what this connection carries.

    Args:
        channels: Channels of each level, first to deepest.
        fold: Side of the blocks of pixels that become channels; 1 for no folding.
        num_frames: The number F of frames that the network sees to rewrite one; 1 for the frame alone.
        num_planes: Channels of a frame; 3 for RGB.

    Source:
        Ronneberger et al., arXiv:1505.04597, in the form that SPAct (arXiv:2203.15205) uses: 64 to 512 channels,
        bilinear upsampling, sigmoid. We use group normalization where SPAct uses batch normalization. The fold is ours.
    """

    def __init__(self, channels: tuple[int, ...], fold: int = 1, num_frames: int = 1, num_planes: int = 3) -> None:
        super().__init__()
        self.fold, self.multiple = fold, fold * 2 ** (len(channels) - 1)
        num_pixels = num_planes * fold**2
        self.down = nn.ModuleList(_Block(a, b) for a, b in pairwise((num_frames * num_pixels, *channels)))
        self.up = nn.ModuleList(_Block(a + b, b) for a, b in pairwise(channels[::-1]))
        self.out = nn.Conv2d(channels[0], num_pixels, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """Map windows (N,3F,H,W) in [0, 1] to frames (N,3,H,W) in the same range."""
        height, width = frames.shape[-2:]
        border = (0, -width % self.multiple, 0, -height % self.multiple)
        padded = F.pad(frames, border, mode="replicate") if any(border) else frames
        x = F.pixel_unshuffle(padded, self.fold)
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
    """Build the U-Net of SPAct, with 64 to 512 channels and fresh weights."""
    return FrameAnonymizer(UNet((64, 128, 256, 512, 512)), bottleneck=_bottleneck(recipe))


def build_unet_small(recipe: AnonymizerRecipe) -> FrameAnonymizer:
    """Build a U-Net of two levels that works on 2x2 pixels, with fresh weights."""
    network = UNet((recipe.base_channels, 2 * recipe.base_channels), fold=2)
    return FrameAnonymizer(network, bottleneck=_bottleneck(recipe))


def build_unet_temporal(recipe: AnonymizerRecipe) -> FrameAnonymizer:
    """Build the network of `build_unet_small` for windows of several frames, with fresh weights."""
    num_before, num_after = recipe.frames_before, recipe.frames_after
    channels = recipe.base_channels, 2 * recipe.base_channels
    network = UNet(channels, fold=2, num_frames=num_before + 1 + num_after)
    return FrameAnonymizer(network, num_before, num_after, _bottleneck(recipe))


def _groups(channels: int) -> int:
    return next(g for g in (8, 4, 3, 2, 1) if channels % g == 0)
