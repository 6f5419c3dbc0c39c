"""Anonymizers that change persons only, and the two detectors that find persons without any downloaded weights.

If the detector finds no one in a frame, the frame is left unchanged. The measured leakage includes such frames.

Shapes: B clips, T frames per clip, C = 3 channels (RGB), H height, W width, K boxes.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from anon_tune.methods.blur.network import Blur
from anon_tune.networks import Anonymizer
from anon_tune.networks.filters import convolve, gaussian_kernel, pixelate
from anon_tune.recipe import Recipe

Detector = Callable[[Tensor], Tensor]

_LEAST_CHANGE = 0.05  # smallest difference between a pixel and the background that counts, mean over channels
_NOISE_FACTOR = 3.0
_LEAST_NEIGHBOURS = 3  # a changed pixel with fewer changed pixels in its 3x3 square is noise
_LEAST_SIDE = 192  # pixels; smaller frames are enlarged, because OpenCV's detection window is 64 x 128


def moving_regions(clips: Tensor) -> Tensor:
    """Find what moves in clips (B,T,3,H,W), as a boolean mask (B,T,1,H,W).

    The background is the temporal median of the clip. A pixel belongs to a person if its difference from the
    background, averaged over channels, is above 0.05 and above three times the clip's median difference, which measures
    noise. Lone pixels are dropped, and the rest is dilated by 1/32 of the shorter side. The camera must not move, and a
    part of a person that does not move for most of the clip is not found.
    """
    num_frames, height, width = clips.shape[1], *clips.shape[-2:]
    ordered = clips.sort(dim=1).values
    background = (ordered[:, (num_frames - 1) // 2] + ordered[:, num_frames // 2]).unsqueeze(1) / 2
    change = (clips - background).abs().mean(dim=2)  # (B,T,H,W)
    noise = change.flatten(1).median(dim=1).values.view(-1, 1, 1, 1)
    moved = (change > (_NOISE_FACTOR * noise).clamp(min=_LEAST_CHANGE)).float()
    dense = moved * (F.avg_pool2d(moved, 3, stride=1, padding=1) > (_LEAST_NEIGHBOURS - 0.5) / 9)
    radius = max(1, round(min(height, width) / 32))
    side = 2 * radius + 1  # rows first, then columns, which is the same and much faster for a wide square
    columns = F.max_pool2d(dense, (side, 1), stride=1, padding=(radius, 0))
    grown = F.max_pool2d(columns, (1, side), stride=1, padding=(0, radius))
    found: Tensor = (grown > 0).unsqueeze(2)
    return found


def upright_regions(clips: Tensor) -> Tensor:
    """Find upright persons, as a boolean mask (B,T,1,H,W) of the boxes from OpenCV's HOG detector.

    The detector works on single frames, on the CPU. Frames with a side below 192 pixels are enlarged first.

    Source:
        Dalal and Triggs, CVPR 2005, with the weights that are part of OpenCV 4.
    """
    frames = (clips.detach().flatten(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    mask = torch.zeros(len(frames), 1, *clips.shape[-2:], dtype=torch.bool)
    for at, frame in enumerate(frames):
        for left, top, wide, tall in _upright_boxes(frame):
            mask[at, :, max(top, 0) : top + tall, max(left, 0) : left + wide] = True
    found: Tensor = mask.to(clips.device).unflatten(0, clips.shape[:2])
    return found


DETECTORS: dict[str, Detector] = {"background": moving_regions, "hog": upright_regions}


class _Persons(Anonymizer):
    """Changes only the pixels in the regions that a detector finds."""

    def __init__(self, detector: str) -> None:
        super().__init__()
        self.find = DETECTORS[detector]
        self.num_before = None if detector == "background" else 0

    def rewrite(self, clips: Tensor) -> Tensor:
        mask = self.find(clips)
        return torch.where(mask, self.hide(clips, mask), clips)

    def hide(self, clips: Tensor, mask: Tensor) -> Tensor:
        """Return clips (B,T,3,H,W) whose pixels replace the raw ones where the mask (B,T,1,H,W) is True."""
        raise NotImplementedError


class PersonBlackOut(_Persons):
    """Makes persons black."""

    def hide(self, clips: Tensor, mask: Tensor) -> Tensor:
        return torch.zeros_like(clips)


class PersonBlur(_Persons):
    """Blurs persons as `Blur` does."""

    def __init__(self, sigma: float, detector: str) -> None:
        super().__init__(detector)
        self.blur = Blur(sigma)

    def hide(self, clips: Tensor, mask: Tensor) -> Tensor:
        return self.blur.rewrite(clips)


class _AreaAdaptive(_Persons):
    """Filters every region, a connected part of the mask, with a size that grows with the region's area.

    With ``s = max(1, floor(percent of the frame that the region covers))`` and ``r = strength max(1, ln s)``, the size
    is ``max(1, min(floor(r k0), floor(side / 2)))``, where ``side`` is the shorter side of the region's box and ``k0``
    is `base_size`.

    Source:
        The formula of LA3D (arXiv:2410.18717) with alpha_l = 0.5 and alpha_m = strength. LA3D uses instance masks of
        YOLOv8 and we use connected regions. It does not say which side of the box it means. We filter the box by
        itself, so that nothing from outside the box is mixed in.
    """

    base_size: float

    def __init__(self, strength: float, detector: str) -> None:
        super().__init__(detector)
        self.strength = strength

    def size(self, area: int, box: tuple[int, int], frame: tuple[int, int]) -> int:
        """Return the size of the filter in pixels.

        Args:
            area: Number of pixels in the region.
            box: Height and width of the region's box, in pixels.
            frame: Height and width of the frame, in pixels.
        """
        percent = max(1, 100 * area // math.prod(frame))
        grown = self.strength * max(1.0, math.log(percent)) * self.base_size
        return max(1, min(int(grown), min(box) // 2))

    def hide(self, clips: Tensor, mask: Tensor) -> Tensor:
        changed = clips.clone()
        for b, t, region, area in _regions(mask):
            patch = clips[b, t][:, *region].unsqueeze(0)
            size = self.size(area, (patch.shape[-2], patch.shape[-1]), (clips.shape[-2], clips.shape[-1]))
            changed[b, t][:, *region] = self.filter(patch, size).squeeze(0)
        return changed

    def filter(self, patch: Tensor, size: int) -> Tensor:
        """Filter a box (1,3,h,w)."""
        raise NotImplementedError


class AreaBlur(_AreaAdaptive):
    """LA3D's adaptive blur: sigma 10, cut off by a kernel of odd size, of 13 or more pixels on large frames."""

    base_size = 13.0

    def filter(self, patch: Tensor, size: int) -> Tensor:
        return convolve(patch, gaussian_kernel(patch.new_tensor(10.0), size // 2))


class AreaPixelate(_AreaAdaptive):
    """LA3D's adaptive pixelation: blocks of 4 or more pixels on large frames."""

    base_size = 4.0

    def filter(self, patch: Tensor, size: int) -> Tensor:
        return pixelate(patch, size)


def build(recipe: Recipe, detector: str, **size: float) -> Anonymizer:
    """Return the anonymizer of any method in this folder."""
    makers: dict[str, Callable[..., Anonymizer]] = {
        "person-black-out": PersonBlackOut,
        "person-blur": PersonBlur,
        "area-blur": AreaBlur,
        "area-pixelate": AreaPixelate,
    }
    return makers[recipe.method.partition(":")[0]](**size, detector=detector)


def _regions(mask: Tensor) -> list[tuple[int, int, tuple[slice, slice], int]]:
    """Return clip, frame, box (rows, columns) and area of every connected region of a mask (B,T,1,H,W)."""
    import cv2

    found = []
    for b, clip in enumerate(mask.squeeze(2).to(torch.uint8).cpu().numpy()):
        for t, frame in enumerate(clip):
            _, _, stats, _ = cv2.connectedComponentsWithStats(frame, connectivity=8)
            for left, top, wide, tall, area in stats[1:].tolist():  # the first entry is everything outside the mask
                found.append((b, t, (slice(top, top + tall), slice(left, left + wide)), area))
    return found


@functools.cache
def _hog() -> Any:
    import cv2

    hog = cv2.HOGDescriptor()
    hog.setSVMDetector(np.asarray(cv2.HOGDescriptor.getDefaultPeopleDetector()))
    return hog


def _upright_boxes(frame: NDArray[np.uint8]) -> list[list[int]]:
    """Return left, top, width and height of persons in a frame (H,W,3) uint8."""
    import cv2

    cv2.setNumThreads(torch.get_num_threads())
    scale = max(1.0, _LEAST_SIDE / min(frame.shape[:2]))
    enlarged = cv2.resize(frame, None, fx=scale, fy=scale)
    boxes, _ = _hog().detectMultiScale(enlarged, winStride=(8, 8), padding=(32, 32), scale=1.05)
    return [[round(edge / scale) for edge in box] for box in boxes]
