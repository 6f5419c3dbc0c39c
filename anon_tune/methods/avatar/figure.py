"""Draws flat, neutral figures.

Shapes: T frames, P people in a frame, H height, W width. Places are columns and rows in pixels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]

HEAD = 0.08  # radius of the head, as a share of the figure's height: the same for everyone
_WIDTH = 0.09  # of limbs and torso, likewise
_FINE = 4  # figures are drawn this much larger, then shrunk, so that they move by less than a pixel


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure in one frame.

    Attributes:
        limbs: Start and end of every limb, and of the torso.
        head: The middle of the head; None for no head.
        height: Height of the figure, from which its thickness follows.
    """

    limbs: tuple[tuple[Point, Point], ...]
    head: Point | None
    height: float


def drawn(figures: Iterable[Figure], size: tuple[int, int], thicker: float = 1.0) -> NDArray[np.float32]:
    """Return how far figures cover each pixel of a frame, (H,W) in [0, 1].

    Args:
        figures: The figures of the frame, perhaps none.
        size: H and W.
        thicker: Factor of the thickness.
    """
    import cv2

    height, width = size
    canvas = np.zeros((height * _FINE, width * _FINE), np.uint8)
    for figure in figures:
        unit = thicker * figure.height * _FINE
        for start, end in figure.limbs:
            cv2.line(canvas, _fine(start), _fine(end), 255, max(1, round(_WIDTH * unit)), cv2.LINE_AA)
        if figure.head is not None:
            cv2.circle(canvas, _fine(figure.head), max(1, round(HEAD * unit)), 255, -1, cv2.LINE_AA)
    return np.asarray(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA) / 255, np.float32)


def _fine(point: Point) -> tuple[int, int]:
    return round((point[0] + 0.5) * _FINE), round((point[1] + 0.5) * _FINE)
