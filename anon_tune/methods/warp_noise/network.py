"""The anonymizer that covers persons with noise, which optical flow moves along the whole clip.

Shapes: B clips, T frames per clip, C = 3 channels (RGB), H height, W width.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from anon_tune.methods.persons.network import DETECTORS
from anon_tune.networks import Anonymizer
from anon_tune.networks.secret_noise import numbers_of
from anon_tune.recipe import Recipe

_FLOW_SIDE = 240  # pixels; flow is found on frames whose shorter side is no longer, which is fast


class WarpNoise(Anonymizer):
    """Mixes uniform noise into the pixels of persons: ``x + strength (n - x)`` inside the person mask.

    The noise n of the first frame is drawn for each clip by itself, see `anon_tune.networks.secret_noise`. Optical flow
    moves it from frame to frame, each time to the nearest pixel, so that a pixel of noise stays on the same spot of the
    body along the whole clip. Pixels that come from outside the frame get fresh noise. Motion stays visible on purpose:
    an attacker that looks at motion or at silhouettes finds as much as before.

    Args:
        strength: Share of the noise in a pixel of a person, in [0, 1].
        detector: ``background`` or ``hog``, see `anon_tune.methods.persons.network`.
        noise: ``colour`` or ``grey``.
        follow: Factor of the flow: 1 for noise that moves with the person, 0 for noise that stays in place.

    Source:
        Ilic et al., arXiv:2403.12710. We differ: the mask comes from a detector without downloaded weights instead of
        the similarity to a template of DINO, and is not soft; the flow is Farneback's instead of RAFT's; the released
        code moves noise over two frames only, from the same noise for all videos, which can be subtracted.
    """

    num_before = None

    def __init__(self, strength: float, detector: str, noise: str, follow: float) -> None:
        super().__init__()
        self.strength, self.find, self.follow = strength, DETECTORS[detector], follow
        self.is_grey = noise == "grey"

    def rewrite(self, clips: Tensor) -> Tensor:
        noise = torch.stack([self.noise_of(clip) for clip in clips])
        return torch.where(self.find(clips), torch.lerp(clips, noise, self.strength), clips)

    def noise_of(self, clip: Tensor) -> Tensor:
        """Return the moving noise (T,3,H,W) of a clip, in [0, 1]."""
        drawn = numbers_of(clip, "warp-noise")
        size = (1 if self.is_grey else 3, *clip.shape[-2:])
        frames = [drawn.uniform(size)]
        for flow in flows_back(clip) * self.follow:
            inside = stays_inside(flow)
            frames.append(torch.where(inside, warp(frames[-1], flow), drawn.uniform(size)))
        return torch.stack(frames).expand(-1, 3, -1, -1).to(clip)


def warp(frame: Tensor, flow: Tensor) -> Tensor:
    """Return the frame (C,H,W) whose pixel p is that of `frame` at ``p + flow(p)``, the nearest one.

    Places beyond the border give the pixel at the border.

    Args:
        frame: (C,H,W).
        flow: Columns and rows to go from each pixel, (2,H,W).
    """
    columns, rows = _places(flow)
    height, width = frame.shape[-2:]
    return frame[:, rows.clamp(0, height - 1), columns.clamp(0, width - 1)]


def stays_inside(flow: Tensor) -> Tensor:
    """Return where ``p + flow(p)`` lies inside the frame, (H,W)."""
    columns, rows = _places(flow)
    height, width = flow.shape[-2:]
    return (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)


def _places(flow: Tensor) -> tuple[Tensor, Tensor]:
    height, width = flow.shape[-2:]
    columns = (torch.arange(width) + flow[0]).round().long()
    rows = (torch.arange(height).unsqueeze(1) + flow[1]).round().long()
    return columns, rows


def flows_back(clip: Tensor) -> Tensor:
    """Return the flow from each frame but the first to the frame before it, (T-1,2,H,W), in pixels, on the CPU.

    Pixel p of a frame was at ``p + flow(p)`` in the frame before.

    Source:
        Farneback 2003, as OpenCV has it.
    """
    import cv2

    height, width = clip.shape[-2:]
    factor = max(1, math.ceil(min(height, width) / _FLOW_SIDE))
    small = (math.ceil(height / factor), math.ceil(width / factor))
    grey = F.interpolate(clip.detach().mean(dim=1, keepdim=True), small, mode="area").squeeze(1)
    frames = (grey.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    found: list[NDArray[np.float32]] = []
    for before, now in itertools.pairwise(frames):
        start = np.zeros((*small, 2), np.float32)
        found.append(cv2.calcOpticalFlowFarneback(now, before, start, 0.5, 3, 9, 3, 5, 1.1, 0).astype(np.float32))
    if not found:
        return torch.zeros(0, 2, height, width)
    flow = torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2)
    larger = F.interpolate(flow, (height, width), mode="bilinear", align_corners=False)
    return larger * torch.tensor([width / small[1], height / small[0]]).view(1, 2, 1, 1)


def build(recipe: Recipe, strength: float, detector: str, noise: str, follow: float) -> Anonymizer:
    """Return the anonymizer."""
    return WarpNoise(strength, detector, noise, follow)
