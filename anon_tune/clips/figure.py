"""Draws a person with joints on frames, from anti-aliased capsules and boxes given by signed distances.

Lengths are fractions of the frame height, y points down, and x = 0 is the middle of the frame.

Shapes: T frames, H height, W width, C = 3 channels; a joint is (T, 2), x and y in every frame. All are float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

_FLOOR = 0.96
_LEG = 0.31
_TORSO = 0.25
_ARM = 0.19
_HEAD = 0.105
_STRIPE = 0.13


@dataclass(frozen=True, slots=True)
class Person:
    """The looks of a person. Colours are RGB in [0, 1]; lengths are fractions of the frame height.

    Attributes:
        skin: Colour of face, forearms and hands.
        hair: Colour of the hair.
        shirt: Colour of torso and sleeves.
        stripe: Colour of the shirt's stripes; None for a plain shirt.
        trousers: Colour of the legs.
        hat: Colour of a tall hat; None for no hat.
        girth: Half width of the torso.
        limb: Radius of arms and legs.
        height: Factor of body height, about 1.
    """

    skin: Array
    hair: Array
    shirt: Array
    stripe: Array | None
    trousers: Array
    hat: Array | None
    girth: float
    limb: float
    height: float


@dataclass(frozen=True, slots=True)
class Pose:
    """The pose of a person in every frame. Each array is (T,) in [0, 1].

    Attributes:
        arms: 0 with arms hanging, 1 with arms overhead.
        crouch: 0 upright, 1 squatting.
        across: 0 at the left of the frame, 1 at the right; the legs open and close on the way.
        bend: How far the elbows are bent.
    """

    arms: Array
    crouch: Array
    across: Array
    bend: Array


def draw_person(canvas: Array, person: Person, pose: Pose) -> NDArray[np.float32]:
    """Draw a person over frames, in place, and return the key points of the person (T, 17, 3).

    Key points are those of `anon_tune.clips.keypoints`; all of them are known.

    Args:
        canvas: The frames, (T, H, W, C) float32 in [0, 1].
        person: The looks of the person.
        pose: The pose in each of the T frames.
    """
    size = person.height
    brush = _Brush(canvas)
    middle = 0.46 * (pose.across - 0.5)
    hip = _joint(middle, _FLOOR - size * (_LEG - 0.19 * pose.crouch))
    neck = hip - _joint(0.0, size * _TORSO)
    head = neck - _joint(0.0, size * 0.11)
    legs = _draw_legs(brush, person, pose, hip)
    centre = (hip + neck) / 2 + _joint(0.0, 0.01)
    half = (person.girth, size * _TORSO / 2)
    brush.box(centre, half, 0.035, person.shirt)
    if person.stripe is not None:
        brush.box(centre, half, 0.035, person.stripe, stripes=size * _STRIPE)
    arms = _draw_arms(brush, person, pose, neck)
    face = _draw_head(brush, person, head)
    return _keypoints([*face, *arms, *legs], canvas.shape[1] / canvas.shape[2])


def _keypoints(joints: list[Array], height_by_width: float) -> NDArray[np.float32]:
    """Return joints, each (T, 2), as key points (T, 17, 3)."""
    places = np.stack(joints, axis=1)
    across = 0.5 + places[..., 0] * np.float32(height_by_width)
    return np.stack([across, places[..., 1], np.ones_like(across)], axis=-1).astype(np.float32)


def _draw_head(brush: _Brush, person: Person, head: Array) -> list[Array]:
    """Draw the head, and return nose, eyes and ears, the left one (on the right of the frame) first."""
    size = person.height * _HEAD
    brush.capsule(head - _joint(0.0, 0.35 * size), head + _joint(0.0, 0.15 * size), 1.4 * size, person.hair)
    brush.capsule(head, head + _joint(0.0, 0.35 * size), 0.85 * size, person.skin)
    for side in (-1, 1):
        eye = head + _joint(side * 0.38 * size, 0.0)
        brush.capsule(eye, eye, 0.13 * size, np.zeros(3, np.float32))
    if person.hat is not None:
        brush.box(head - _joint(0.0, 1.8 * size), (0.12, 0.1), 0.01, person.hat)
        brush.box(head - _joint(0.0, 0.9 * size), (0.27, 0.04), 0.01, person.hat)
    return [head, *(head + _joint(side * off * size, 0.0) for off in (0.38, 0.85) for side in (1, -1))]


def _draw_legs(brush: _Brush, person: Person, pose: Pose, hip: Array) -> list[Array]:
    """Draw the legs, and return hips, knees and ankles, each the left one first."""
    drawn: list[tuple[Array, ...]] = []
    opening = 0.05 + 0.05 * np.sin(3 * np.pi * pose.across) ** 2
    half = person.height * _LEG / 2
    for side in (-1, 1):
        top = hip + _joint(side * 0.5 * person.girth, 0.0)
        foot = _joint(top[:, 0] + side * opening, _FLOOR)
        gap = foot - top
        reach = np.hypot(gap[:, 0], gap[:, 1])
        # Hip, knee and foot form an isosceles triangle, with the knee on the outer side.
        out = np.sqrt(np.maximum(half**2 - (reach / 2) ** 2, 0)) / reach
        knee = (top + foot) / 2 + side * _joint(gap[:, 1] * out, -gap[:, 0] * out)
        brush.capsule(top, knee, 1.15 * person.limb, person.trousers)
        brush.capsule(knee, foot, person.limb, person.trousers)
        brush.capsule(foot, foot + _joint(side * 0.03, 0.0), person.limb, 0.35 * person.trousers)
        drawn.append((top, knee, foot))
    return [joints[side] for joints in zip(*drawn, strict=True) for side in (1, 0)]


def _draw_arms(brush: _Brush, person: Person, pose: Pose, neck: Array) -> list[Array]:
    """Draw the arms, and return shoulders, elbows and wrists, each the left one first."""
    drawn: list[tuple[Array, ...]] = []
    length = person.height * _ARM
    upper = np.radians(8 + 132 * pose.arms)
    lower = upper + np.radians(5 + 25 * pose.bend)
    for side in (-1, 1):
        shoulder = neck + _joint(side * (person.girth - 0.01), 0.035)
        elbow = shoulder + length * _joint(side * np.sin(upper), np.cos(upper))
        hand = elbow + length * _joint(side * np.sin(lower), np.cos(lower))
        brush.capsule(shoulder, elbow, person.limb, person.skin)
        brush.capsule(elbow, hand, person.limb, person.skin)
        brush.capsule(hand, hand, 1.5 * person.limb, person.skin)
        brush.capsule(shoulder, (shoulder + elbow) / 2, 1.1 * person.limb, person.shirt)
        drawn.append((shoulder, elbow, hand))
    return [joints[side] for joints in zip(*drawn, strict=True) for side in (1, 0)]


def _joint(x: Array | float, y: Array | float) -> Array:
    """Return joints (T, 2) from arrays of x and y, or an offset (2,) from two numbers."""
    return np.stack(np.broadcast_arrays(x, y), axis=-1).astype(np.float32)


class _Brush:
    """Paints shapes on T frames at once. The signed distance of a pixel to a shape says how much of it is covered."""

    def __init__(self, canvas: Array) -> None:
        _, height, width, _ = canvas.shape
        self._canvas, self._scale = canvas, np.float32(height)
        x = (np.arange(width, dtype=np.float32) + 0.5 - width / 2) / height
        y = (np.arange(height, dtype=np.float32) + 0.5) / height
        self._x, self._y = x[None, None, :], y[None, :, None]

    def capsule(self, start: Array, end: Array, radius: float, colour: Array) -> None:
        """Paint everything within a radius of the segment between two joints."""
        dx, dy = self._x - _column(start, 0), self._y - _column(start, 1)
        gx, gy = _column(end - start, 0), _column(end - start, 1)
        along = np.clip((dx * gx + dy * gy) / np.maximum(gx * gx + gy * gy, 1e-9), 0, 1)
        self._paint(np.hypot(dx - along * gx, dy - along * gy) - np.float32(radius), colour)

    def box(self, centre: Array, half: tuple[float, float], corner: float, colour: Array, stripes: float = 0.0) -> None:
        """Paint a box with round corners. With `stripes` above 0, paint only horizontal bands with this period."""
        dx, dy = self._x - _column(centre, 0), self._y - _column(centre, 1)
        qx, qy = np.abs(dx) - np.float32(half[0] - corner), np.abs(dy) - np.float32(half[1] - corner)
        outside = np.hypot(np.maximum(qx, 0), np.maximum(qy, 0))
        distance = outside + np.minimum(np.maximum(qx, qy), 0) - np.float32(corner)
        if stripes:
            band = np.abs((dy / stripes) % 1 - 0.5) - 0.25
            distance = np.maximum(distance, band * np.float32(stripes))
        self._paint(distance, colour)

    def _paint(self, distance: Array, colour: Array) -> None:
        cover = np.clip(np.float32(0.5) - distance * self._scale, 0, 1)[..., None]
        self._canvas += cover * (colour - self._canvas)


def _column(joint: Array, axis: int) -> Array:
    return joint[:, axis, None, None]
