"""The looks of a generated person, and backgrounds."""

from __future__ import annotations

import colorsys
import math

import numpy as np

from anon_tune.clips.figure import Array, Person

ATTRIBUTES = ("skin=dark", "shirt=warm", "pattern=striped", "hair=blond", "build=broad", "headgear=hat")
_NUM_BOXES = 5


def draw_looks(body: np.random.Generator, clothes: np.random.Generator, private: tuple[bool, ...]) -> Person:
    """Draw the looks of a person with some private attributes, in the order of `ATTRIBUTES`."""
    dark, warm, striped, blond, broad, hat = private
    skin = (0.36, 0.22, 0.14) if dark else (0.94, 0.78, 0.66)
    hair = (0.88, 0.74, 0.32) if blond else (0.14, 0.10, 0.08)
    hue = clothes.uniform(-0.04, 0.1) if warm else clothes.uniform(0.36, 0.68)
    stripe = clothes.choice([0.05, 0.97]) + clothes.uniform(-0.04, 0.03, 3)
    hat_colour = _colour(clothes, clothes.uniform(), (0.2, 1.0), (0.05, 0.22))
    return Person(
        skin=_shade(body, skin),
        hair=_shade(body, hair),
        shirt=_colour(clothes, hue, (0.6, 1.0), (0.45, 0.95)),
        stripe=stripe.astype(np.float32) if striped else None,
        trousers=_colour(clothes, clothes.uniform(), (0.1, 0.8), (0.15, 0.7)),
        hat=hat_colour if hat else None,
        girth=body.uniform(0.15, 0.17) if broad else body.uniform(0.065, 0.08),
        limb=body.uniform(0.055, 0.061) if broad else body.uniform(0.03, 0.035),
        height=body.uniform(0.97, 1.03),
    )


def draw_background(rng: np.random.Generator, height: int, width: int) -> Array:
    """Draw a background, (H, W, 3), the same in all frames: a gradient, boxes of random colours, and grain."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j].astype(np.float32)
    angle = rng.uniform(0, 2 * math.pi)
    slope = np.clip(0.5 + (x - 0.5) * math.cos(angle) + (y - 0.5) * math.sin(angle), 0, 1)[..., None]
    one, two = (_colour(rng, rng.uniform(), (0.0, 0.7), (0.2, 0.9)) for _ in range(2))
    image: Array = one + slope * (two - one)
    for _ in range(_NUM_BOXES):
        top, left = rng.uniform(-0.1, 0.9, 2)
        tall, wide = rng.uniform(0.1, 0.45, 2)
        inside = (y >= top) & (y < top + tall) & (x >= left) & (x < left + wide)
        blend = np.float32(rng.uniform(0.25, 0.7))
        image[inside] += blend * (_colour(rng, rng.uniform(), (0.1, 1.0), (0.15, 0.95)) - image[inside])
    image += rng.standard_normal((height, width, 1), np.float32) * np.float32(rng.uniform(0.0, 0.04))
    return image


def _colour(rng: np.random.Generator, hue: float, saturation: tuple[float, float], value: tuple[float, float]) -> Array:
    rgb = colorsys.hsv_to_rgb(hue % 1.0, rng.uniform(*saturation), rng.uniform(*value))
    return np.array(rgb, np.float32)


def _shade(rng: np.random.Generator, colour: tuple[float, float, float]) -> Array:
    shade = np.array(colour) * rng.uniform(0.85, 1.15) + rng.uniform(-0.03, 0.03, 3)
    return np.clip(shade, 0, 1).astype(np.float32)
