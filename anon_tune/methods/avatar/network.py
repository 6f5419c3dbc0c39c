"""The anonymizer that removes persons and draws a neutral figure in their place.

Shapes: B clips, T frames per clip, C = 3 channels (RGB), H height, W width, N pixels of a silhouette.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anon_tune.methods.persons.network import DETECTORS
from anon_tune.networks import Anonymizer
from anon_tune.recipe import Recipe

Point = tuple[float, float]
Mask = NDArray[np.bool_]

_LEAST_SHARE = 0.002  # of a frame's pixels; a smaller silhouette is noise, and gets no figure
_WIDTH = 0.09  # of limbs and torso, as a share of the figure's height: the same for everyone
_HEAD = 0.08  # radius of the head, likewise
_FINE = 4  # figures are drawn this much larger, then shrunk, so that they move by less than a pixel
_INPAINT = 3  # pixels around a hole from which it is filled


class Avatar(Anonymizer):
    """Shows the background of a clip with a flat figure at the place of every frame's largest silhouette.

    The background is the mean, over time, of the pixels that the detector does not take for a person. A place that a
    person covers in every frame is filled from around it. Nothing else of the raw frames is shown. Five points move the
    figure: the top of the silhouette, its outermost points to the left and to the right above the middle, and its
    lowest points to either side. The thickness of the figure and its colour are the same for everyone, and its height
    is the median over the clip. What is left of a person is how they move, and how tall they are in the picture.

    The camera must not move. A part of a person that the detector never finds stays in the background.

    Args:
        detector: ``background`` or ``hog``, see `anon_tune.methods.persons.network`.
        grey: Brightness of the figure, in [0, 1].

    Source:
        Ours, after data sets in which people are replaced by avatars (arXiv:2410.17098). They read the pose by a
        network from key points, and render a body in three dimensions.
    """

    num_before = None

    def __init__(self, detector: str, grey: float) -> None:
        super().__init__()
        self.find, self.grey = DETECTORS[detector], grey

    def rewrite(self, clips: Tensor) -> Tensor:
        masks = self.find(clips)
        made = [self._redraw(clip, mask) for clip, mask in zip(clips, masks, strict=True)]
        return torch.stack(made)

    def _redraw(self, clip: Tensor, mask: Tensor) -> Tensor:
        behind = background_of(clip, mask)
        poses, size = poses_of(mask.squeeze(1).cpu().numpy()), (mask.shape[-2], mask.shape[-1])
        cover = torch.from_numpy(np.stack([drawn(pose, size) for pose in poses])).to(clip).unsqueeze(1)
        return torch.lerp(behind.expand_as(clip), torch.full_like(clip, self.grey), cover)


def background_of(clip: Tensor, mask: Tensor) -> Tensor:
    """Return what is behind the persons of a clip, (3,H,W) in [0, 1].

    Args:
        clip: (T,3,H,W) in [0, 1].
        mask: Where persons are, (T,1,H,W).
    """
    import cv2

    seen = (~mask).to(clip)
    count = seen.sum(dim=0)
    mean = (clip * seen).sum(dim=0) / count.clamp(min=1)
    hidden = (count == 0).squeeze(0)
    if not hidden.any() or hidden.all():
        return mean
    levels = (mean * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().contiguous().numpy()
    filled = cv2.inpaint(levels, hidden.to(torch.uint8).cpu().numpy(), _INPAINT, cv2.INPAINT_TELEA)
    return torch.where(hidden, torch.from_numpy(filled).permute(2, 0, 1).to(clip) / 255, mean)


@dataclass(frozen=True, slots=True)
class Pose:
    """The points of a figure, as columns and rows in pixels.

    Attributes:
        top: The top of the head.
        hands: The left and the right hand.
        feet: The left and the right foot.
        middle: The middle of the body.
        height: Height of the figure, the same for all frames of a clip.
    """

    top: Point
    hands: tuple[Point, Point]
    feet: tuple[Point, Point]
    middle: Point
    height: float


def poses_of(masks: Mask) -> list[Pose | None]:
    """Return the pose of the largest silhouette of each frame; None for a frame without one.

    Args:
        masks: Where persons are, (T,H,W).
    """
    found = [_largest(mask) for mask in masks]
    heights = [np.ptp(rows) + 1 for rows, _ in filter(None, found)]
    height = float(np.median(heights)) if heights else 0.0
    return [None if places is None else _pose(*places, height) for places in found]


def _largest(mask: Mask) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
    """Return rows (N,) and columns (N,) of the largest connected part of a mask (H,W), if it is large enough."""
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count < 2:
        return None
    best = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    if stats[best, cv2.CC_STAT_AREA] < max(4, _LEAST_SHARE * mask.size):
        return None
    rows, columns = np.nonzero(labels == best)
    return rows, columns


def _pose(rows: NDArray[np.intp], columns: NDArray[np.intp], height: float) -> Pose:
    middle_row, middle_column = float(rows.mean()), float(columns.mean())
    highest = rows <= rows.min() + 0.1 * height
    upper = rows < middle_row
    left, right = (_outermost(rows[upper], columns[upper], side) for side in (-1, 1))
    feet = tuple(_lowest(rows, columns, inside) for inside in (columns <= middle_column, columns > middle_column))
    return Pose(
        top=(float(columns[highest].mean()), float(rows.min())),
        hands=(left, right),
        feet=(feet[0], feet[1]),
        middle=(middle_column, middle_row),
        height=height,
    )


def _outermost(rows: NDArray[np.intp], columns: NDArray[np.intp], side: int) -> Point:
    at = int(np.argmax(side * columns))
    same = columns == columns[at]
    return float(columns[at]), float(rows[same].mean())


def _lowest(rows: NDArray[np.intp], columns: NDArray[np.intp], inside: Mask) -> Point:
    if not inside.any():
        inside = np.ones_like(inside)
    lowest = rows[inside].max()
    return float(columns[inside][rows[inside] == lowest].mean()), float(lowest)


def drawn(pose: Pose | None, size: tuple[int, int]) -> NDArray[np.float32]:
    """Return how far a figure covers each pixel of a frame, (H,W) in [0, 1]; zeros if there is none."""
    import cv2

    height, width = size
    if pose is None:
        return np.zeros(size, np.float32)
    canvas = np.zeros((height * _FINE, width * _FINE), np.uint8)
    thick = max(1, round(_WIDTH * pose.height * _FINE))
    radius = max(1, round(_HEAD * pose.height * _FINE))
    head = (pose.top[0], pose.top[1] + _HEAD * pose.height)
    neck = (head[0], head[1] + 1.5 * _HEAD * pose.height)
    limbs = [(neck, pose.middle), *((neck, hand) for hand in pose.hands), *((pose.middle, foot) for foot in pose.feet)]
    for start, end in limbs:
        cv2.line(canvas, _fine(start), _fine(end), 255, thick, cv2.LINE_AA)
    cv2.circle(canvas, _fine(head), radius, 255, -1, cv2.LINE_AA)
    return np.asarray(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA) / 255, np.float32)


def _fine(point: Point) -> tuple[int, int]:
    return round((point[0] + 0.5) * _FINE), round((point[1] + 0.5) * _FINE)


def build(recipe: Recipe, detector: str, grey: float) -> Anonymizer:
    """Return the anonymizer."""
    return Avatar(detector, grey)
