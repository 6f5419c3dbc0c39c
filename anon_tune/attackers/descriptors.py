"""The descriptors attacker: shapes and colours at the places of the body, by kernel ridge regression.

It needs no training in steps and learns from few clips, where networks overfit; where clips are many, it is left out,
because networks are stronger there and take less time. It follows the person: the frames are cropped around what moves,
so that the head or the shirt lies at the same place in every clip.

Shapes: N clips, T frames per clip, H height, W width, A attributes, G cells of a grid, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anon_tune.attackers.protocol import Attacker, Fit, Setting
from anon_tune.attackers.spec import AttackerSpec

if TYPE_CHECKING:
    from anon_tune.clips import ClipSet

Frames = NDArray[np.float32]
Floats = NDArray[np.float64]

_SIDE = 48
"""Frames are averaged over blocks, so that their shorter side has at least this many pixels, if it had so many."""

_MOST_FRAMES = 8
_MOST_CLIPS = 2000
_CHUNK = 32
_ANGLES = 8
_COLOURS = 48
_RIDGE = 0.01
_ROUNDING = 5


class Descriptors:
    """Fits one kernel ridge regression to each kind of descriptor, and adds up their standardized scores."""

    def fit(self, train: ClipSet, val: ClipSet, seed: int) -> Fit:
        """Learn from at most 2,000 clips and their mirror images; the validation split sets the scale of the scores."""
        rng = np.random.default_rng(seed)
        rows = np.sort(rng.permutation(len(train))[:_MOST_CLIPS])
        palette = _palette(train.frames[rows[:256]], rng)
        self._kinds: tuple[_Kind, ...] = (_shapes, _pixels, lambda crops: _colours(crops, palette))
        own, mirrored = self._describe(train.frames[rows])
        labels = np.concatenate([train.private[rows]] * 2).astype(np.float64)
        self._ridges = [_Ridge.fit(np.concatenate(pair), labels) for pair in zip(own, mirrored, strict=True)]
        found = self._scores(val)
        self._centres = [one.mean(axis=0) for one in found]
        self._spreads = [np.maximum(one.std(axis=0), 1e-3) for one in found]
        return Fit()

    def predict(self, clips: ClipSet) -> Floats:
        """Return scores (N,A), each the mean over a clip and its mirror image."""
        scaled = zip(self._scores(clips), self._centres, self._spreads, strict=True)
        total: Floats = np.sum([(one - centre) / spread for one, centre, spread in scaled], axis=0)
        return total.round(_ROUNDING)

    def _scores(self, clips: ClipSet) -> list[Floats]:
        own, mirrored = self._describe(clips.frames)
        pairs = zip(self._ridges, own, mirrored, strict=True)
        return [(ridge.predict(one) + ridge.predict(other)) / 2 for ridge, one, other in pairs]

    def _describe(self, frames: NDArray[np.uint8]) -> tuple[list[Frames], list[Frames]]:
        """Return the features (N,D) of every kind, and those of the mirror images."""
        made: tuple[list[list[Frames]], list[list[Frames]]] = [], []
        for crops in _crops(frames):
            for views, features in zip((crops, crops[:, :, :, ::-1]), made, strict=True):
                features.append([kind(views) for kind in self._kinds])
        own, mirrored = ([np.concatenate(parts) for parts in zip(*features, strict=True)] for features in made)
        return own, mirrored


_Kind = Callable[[Frames], Frames]


@dataclass(frozen=True, slots=True)
class _Ridge:
    """Kernel ridge regression on standardized features, with a Gaussian kernel."""

    mean: Frames
    spread: Frames
    support: Frames
    weights: Floats

    @classmethod
    def fit(cls, features: Frames, labels: Floats) -> _Ridge:
        mean, spread = features.mean(axis=0), features.std(axis=0)
        spread = spread + 0.1 * np.median(spread) + 1e-6
        support = (features - mean) / spread
        kernel = _kernel(support, support)
        kernel[np.diag_indices_from(kernel)] += _RIDGE
        return cls(mean, spread, support, np.linalg.solve(kernel, 2 * (labels - labels.mean(axis=0))))

    def predict(self, features: Frames) -> Floats:
        scores: Floats = _kernel((features - self.mean) / self.spread, self.support) @ self.weights
        return scores


def _kernel(a: Frames, b: Frames) -> Floats:
    squares = np.square(a).sum(axis=1)[:, None] - 2 * a @ b.T + np.square(b).sum(axis=1)
    kernel: Floats = np.exp(-np.maximum(squares, 0) / (2 * a.shape[1])).astype(np.float64)
    return kernel


def _crops(frames: NDArray[np.uint8]) -> Iterator[Frames]:
    """Yield chunks of clips, reduced, and cropped in width around the person: (n,T,H,W',3) in [0, 1]."""
    num_frames, height, width = frames.shape[1:4]
    times = np.unique(np.linspace(0, num_frames - 1, min(num_frames, _MOST_FRAMES)).round().astype(int))
    factor = max(1, min(height, width) // _SIDE)
    for start in range(0, len(frames), _CHUNK):
        chunk: Frames = frames[start : start + _CHUNK][:, times].astype(np.float32) / np.float32(255)
        yield _followed(_reduced(chunk, factor))


def _reduced(clips: Frames, factor: int) -> Frames:
    if factor == 1:
        return clips
    n, t, height, width, c = clips.shape
    rows, columns = height // factor, width // factor
    blocks = clips[:, :, : rows * factor, : columns * factor].reshape(n, t, rows, factor, columns, factor, c)
    small: Frames = blocks.mean(axis=(3, 5))
    return small


def _followed(clips: Frames) -> Frames:
    """Crop every frame to two thirds of its width, around where it changes most over the clip."""
    width = clips.shape[3]
    half = max(width // 3, min(6, width // 2))
    changes = np.abs(clips - np.median(clips, axis=1, keepdims=True)).mean(axis=-1)
    if clips.shape[1] > 1:
        steps = np.abs(np.diff(clips, axis=1)).mean(axis=-1)
        changes = changes + np.concatenate([steps[:, :1], steps], axis=1)
    columns = np.square(_smooth(changes, 3).sum(axis=2))  # (n,T,W)
    total = columns.sum(axis=-1)
    middle = (width - 1) / 2
    centres = np.where(total > 1e-9, (columns * np.arange(width)).sum(axis=-1) / np.maximum(total, 1e-9), middle)
    first = (_smooth(_smooth(centres, 1), 1).round().astype(int) - half).clip(-half, width - half)
    places = (first[..., None] + np.arange(2 * half)).clip(0, width - 1)  # border pixels fill what is outside
    return np.take_along_axis(clips, places[:, :, None, :, None], axis=3)


def _smooth(values: NDArray[np.floating[Any]], axis: int) -> NDArray[np.floating[Any]]:
    """Average each value with its neighbours along an axis, with weights 1, 2, 1."""
    border = [(0, 0)] * values.ndim
    border[axis] = (1, 1)
    wide = np.moveaxis(np.pad(values, border, mode="edge"), axis, 0)
    return np.moveaxis((wide[:-2] + 2 * wide[1:-1] + wide[2:]) / 4, 0, axis)


def _shapes(crops: Frames) -> Frames:
    """Return histograms of the directions of edges in 8 x 4 cells, their mean and spread over the clip."""
    down, right = np.gradient(crops, axis=2), np.gradient(crops, axis=3)
    strength = np.hypot(down, right)
    best = strength.argmax(axis=-1)[..., None]  # the colour with the strongest edge
    down, right, strength = (np.take_along_axis(one, best, -1)[..., 0] for one in (down, right, strength))
    angle = np.mod(np.arctan2(down, right), np.pi) * (_ANGLES / np.pi)
    apart = np.abs(angle[..., None] - np.arange(_ANGLES))
    shares = np.maximum(0, 1 - np.minimum(apart, _ANGLES - apart)) * strength[..., None]
    cells = _pooled(shares, 8, 4)
    return _over_time(np.sqrt(cells / (cells.mean(axis=(2, 3), keepdims=True) + 1e-5)))


def _pixels(crops: Frames) -> Frames:
    """Return the frame in blocks of 2 x 2 pixels, their mean and spread over the clip."""
    return _over_time(_reduced(crops, 2 if min(crops.shape[2:4]) >= 4 else 1))


def _colours(crops: Frames, palette: Frames) -> Frames:
    """Return how often each colour of a palette is near, in 8 x 3 cells, averaged over the clip."""
    squares = np.square(crops).sum(axis=-1, keepdims=True) - 2 * crops @ palette.T + np.square(palette).sum(axis=1)
    squares -= squares.min(axis=-1, keepdims=True)
    near = np.exp(-squares / 0.005)
    near /= near.sum(axis=-1, keepdims=True)
    cells: Frames = np.sqrt(_pooled(near, 8, 3).mean(axis=1))
    return cells.reshape(len(crops), -1)


def _palette(frames: NDArray[np.uint8], rng: np.random.Generator) -> Frames:
    """Draw colours (K,3) from the pixels of the crops."""
    pixels = np.concatenate([crops.reshape(-1, 3)[:: 1 + crops.size // 60000] for crops in _crops(frames)])
    drawn: Frames = pixels[rng.choice(len(pixels), _COLOURS)]
    return drawn


def _pooled(values: Frames, rows: int, columns: int) -> Frames:
    """Average (n,T,H,W,K) over the cells of a grid: (n,T,G,K)."""
    height, width = values.shape[2:4]
    down = np.linspace(0, height, min(rows, height) + 1).astype(int)[:-1]
    right = np.linspace(0, width, min(columns, width) + 1).astype(int)[:-1]
    sums = np.add.reduceat(np.add.reduceat(values, down, axis=2), right, axis=3)
    sizes = np.outer(np.diff([*down, height]), np.diff([*right, width]))[..., None]
    cells: Frames = (sums / sizes).reshape(*values.shape[:2], -1, values.shape[-1])
    return cells.astype(np.float32)


def _over_time(values: Frames) -> Frames:
    """Return mean and spread over the clip, (n,D)."""
    n = len(values)
    return np.concatenate([values.mean(axis=1).reshape(n, -1), values.std(axis=1).reshape(n, -1)], axis=1)


def build(setting: Setting) -> Attacker:
    """Build the attacker."""
    return Descriptors()


SPEC = AttackerSpec(
    name="descriptors",
    summary="edges and colours at the places of the body, by kernel ridge regression; strong where clips are few",
    source="ours; histograms of oriented gradients as in Dalal and Triggs (CVPR 2005)",
    build=build,
    few_clips=True,
)
