"""The anonymizer that removes persons and draws a neutral figure in their place.

Shapes: B clips, T frames per clip, C = 3 channels (RGB), H height, W width, N pixels of a silhouette, P people.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anon_tune.errors import DataError
from anon_tune.methods.avatar.figure import HEAD, Figure, Point, drawn
from anon_tune.methods.avatar.skeleton import figures_of
from anon_tune.methods.persons.network import DETECTORS
from anon_tune.networks import Anonymizer
from anon_tune.recipe import Recipe

Mask = NDArray[np.bool_]

_LEAST_SHARE = 0.002  # of a frame's pixels; a smaller silhouette is noise, and gets no figure
_CLOTHES = 5.5  # times as thick as its figure is what is removed of a person: hair, hats and wide clothes too
_REMEDY = "Import the clips with --keypoints, or write avatar:pose=any"
_INPAINT = 3  # pixels around a hole from which it is filled


class Avatar(Anonymizer):
    """Shows the background of a clip, with a flat figure at the place of every person.

    The background is the mean, over time, of the pixels that show no person. A place that a person covers in every
    frame is filled from around it. Nothing else of the raw frames is shown. What moves the figure:

    * the key points of the clip, if it has any, as `anon_tune.methods.avatar.skeleton` tells. A person is then what the
      detector finds, and what is near the key points. In a frame without key points, there is no figure.
    * otherwise five points of the largest silhouette that the detector finds in a frame: its top, its outermost points
      to the left and to the right above the middle, and its lowest points to either side.

    The thickness of a figure and its colour are the same for everyone, and its size is the median over the clip. What
    is left of a person is how they move, and how tall they are in the picture.

    The camera must not move. A part of a person that is never found stays in the background.

    Args:
        detector: ``background`` or ``hog``, see `anon_tune.methods.persons.network`.
        grey: Brightness of the figure, in [0, 1].
        pose: ``any`` for key points or else silhouettes, ``keypoints`` or ``silhouette`` for one of them only.

    Raises:
        DataError: When `pose` is ``keypoints`` and it is called without key points.

    Source:
        Ours, after data sets in which people are replaced by avatars (arXiv:2410.17098). They read the pose by a
        network, and render a body in three dimensions.
    """

    num_before = None

    def __init__(self, detector: str, grey: float, pose: str = "any") -> None:
        super().__init__()
        self.find, self.grey, self.pose = DETECTORS[detector], grey, pose

    def rewrite(self, clips: Tensor) -> Tensor:
        if self.pose == "keypoints":
            raise DataError("avatar:pose=keypoints", "needs clips with key points", remedy=_REMEDY)
        masks = self.find(clips)
        return torch.stack([self._by_silhouette(clip, mask) for clip, mask in zip(clips, masks, strict=True)])

    def rewrite_by(self, clips: Tensor, keypoints: Tensor) -> Tensor:
        if self.pose == "silhouette":
            return self.rewrite(clips)
        has_any = keypoints[..., 2].flatten(1).any(dim=1).tolist()
        made = [
            self._by_keypoints(clip, points) if known or self.pose == "keypoints" else self.rewrite(clip[None])[0]
            for clip, points, known in zip(clips, keypoints, has_any, strict=True)
        ]
        return torch.stack(made)

    def _by_silhouette(self, clip: Tensor, mask: Tensor) -> Tensor:
        poses = poses_of(mask.squeeze(1).cpu().numpy())
        return self._redraw(clip, mask, [[] if pose is None else [pose.figure] for pose in poses])

    def _by_keypoints(self, clip: Tensor, keypoints: Tensor) -> Tensor:
        size = (clip.shape[-2], clip.shape[-1])
        points = keypoints.float().cpu().numpy()
        near = np.stack([drawn(some, size, _CLOTHES) for some in figures_of(points, size, neutral=False)]) > 0
        mask = self.find(clip[None])[0] | torch.from_numpy(near).to(clip.device).unsqueeze(1)
        return self._redraw(clip, mask, figures_of(points, size))

    def _redraw(self, clip: Tensor, mask: Tensor, figures: list[list[Figure]]) -> Tensor:
        behind = background_of(clip, mask)
        cover = torch.from_numpy(np.stack([drawn(some, (clip.shape[-2], clip.shape[-1])) for some in figures]))
        return torch.lerp(behind.expand_as(clip), torch.full_like(clip, self.grey), cover.to(clip).unsqueeze(1))


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
    """The points of a silhouette that a figure is drawn by, as columns and rows in pixels.

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

    @property
    def figure(self) -> Figure:
        """The figure with these points."""
        head = (self.top[0], self.top[1] + HEAD * self.height)
        neck = (head[0], head[1] + 1.5 * HEAD * self.height)
        arms, legs = ((neck, hand) for hand in self.hands), ((self.middle, foot) for foot in self.feet)
        return Figure(((neck, self.middle), *arms, *legs), head, self.height)


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


def build(recipe: Recipe, detector: str, grey: float, pose: str) -> Anonymizer:
    """Return the anonymizer."""
    return Avatar(detector, grey, pose)
