"""The denoiser: a small U-Net that knows how much noise there is, and the noise schedule.

Shapes: N frames, C channels of a level, H height, W width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NUM_STEPS = 1000
"""Noise steps; step 0 has the least noise."""

_FOLD = 2
_WAVES = 32


def kept_signal() -> Tensor:
    """Return the share of a frame's variance that is left after each noise step, (NUM_STEPS,), from nearly 1 to 4e-5.

    Source:
        The linear schedule of DDPM (arXiv:2006.11239), from 1e-4 to 0.02.
    """
    return (1 - torch.linspace(1e-4, 0.02, NUM_STEPS, dtype=torch.float64)).cumprod(0)


class _Block(nn.Module):
    """Two 3x3 convolutions; the amount of noise shifts the channels between them."""

    def __init__(self, num_in: int, num_out: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(num_in, num_out, 3, padding=1)
        self.second = nn.Conv2d(num_out, num_out, 3, padding=1)
        self.norms = nn.ModuleList(nn.GroupNorm(8, num_out) for _ in range(2))
        self.shift = nn.Linear(2 * _WAVES, num_out)

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        x = F.silu(self.norms[0](self.first(x)) + self.shift(noise)[..., None, None])
        result: Tensor = F.silu(self.norms[1](self.second(x)))
        return result


class Denoiser(nn.Module):
    """Predicts the noise in frames (N,3,H,W) of any H and W.

    A U-Net of three levels on blocks of 2x2 pixels; normalized by groups, so frames do not depend on each other.

    Args:
        channels: Channels of the first level; the others have two and four times as many.
        sees_condition: True if it also gets coarse frames of the same shape.
    """

    def __init__(self, channels: int, sees_condition: bool) -> None:
        super().__init__()
        num_pixels = 3 * _FOLD**2
        levels = (channels, 2 * channels, 4 * channels)
        self.know = nn.Sequential(nn.Linear(2 * _WAVES, 2 * _WAVES), nn.SiLU(), nn.Linear(2 * _WAVES, 2 * _WAVES))
        inputs = (num_pixels * (1 + sees_condition), *levels[:-1])
        self.down = nn.ModuleList(_Block(a, b) for a, b in zip(inputs, levels, strict=True))
        self.up = nn.ModuleList(_Block(a + b, b) for a, b in ((levels[2], levels[1]), (levels[1], levels[0])))
        self.out = nn.Conv2d(channels, num_pixels, 1)

    def forward(self, frames: Tensor, steps: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return the noise (N,3,H,W) in noisy frames.

        Args:
            frames: Noisy frames (N,3,H,W), around [-1, 1].
            steps: The noise step of each frame, (N,), from 0 to NUM_STEPS - 1.
            condition: Coarse frames (N,3,H,W), if the denoiser was built for them.
        """
        height, width = frames.shape[-2:]
        seen = frames if condition is None else torch.cat([frames, condition], dim=1)
        multiple = 4 * _FOLD
        x = F.pixel_unshuffle(F.pad(seen, (0, -width % multiple, 0, -height % multiple), mode="replicate"), _FOLD)
        noise = self.know(_waves(steps).to(frames))
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else F.avg_pool2d(x, 2), noise)
            skips.append(x)
        skips.pop()
        for block in self.up:
            x = block(torch.cat([F.interpolate(x, scale_factor=2.0), skips.pop()], dim=1), noise)
        found: Tensor = F.pixel_shuffle(self.out(x), _FOLD)[..., :height, :width]
        return found


def _waves(steps: Tensor) -> Tensor:
    rates = torch.exp(-math.log(NUM_STEPS) * torch.arange(_WAVES, device=steps.device) / _WAVES)
    angles = steps.float().unsqueeze(1) * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class Embedder(nn.Module):
    """Maps frames (N,3,H,W) in [-1, 1] to vectors (N,64) from which a linear layer reads private attributes."""

    num_features = 64

    def __init__(self) -> None:
        super().__init__()
        sizes = ((3, 16), (16, 32), (32, self.num_features))
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in sizes)

    def forward(self, frames: Tensor) -> Tensor:
        """Return the vectors."""
        x = frames
        for layer in self.layers:
            x = F.silu(layer(x))
        return x.mean(dim=(2, 3))
