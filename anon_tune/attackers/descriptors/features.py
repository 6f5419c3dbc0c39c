"""Features of clips: edges, colours and patches in the cells of a grid that follows the person.

Shapes: N clips, n clips of a chunk, T frames per clip, C channels, H height, W width, K values per cell, R rows and S
columns of cells.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from anon_tune.attackers.descriptors.follow import Follower, Whitening, cropped, reduced
from anon_tune.attackers.descriptors.ridge import Mirrored

_MOST_FRAMES = 8
_CHUNK = 32
_COARSE, _FINE = 24, 48
"""Frames are averaged over blocks, so that their shorter side has at least this many pixels, if it had so many."""

_ANGLES = 8
_NUM_COLOURS = 48
_NUM_PATCHES = 80


@dataclass(frozen=True, slots=True)
class _Views:
    """Views of some clips, each (n,T,C,H,W).

    Attributes:
        white: Whole frames with every spatial frequency at the strength that it has in photographs.
        white_body: The same, cropped around the person.
        body: The frames, cropped around the person.
        even_body: The same with brightness and contrast of the clip made equal to those of others.
        trunk: A narrower crop of that.
        fine: The same with more pixels.
    """

    white: Tensor
    white_body: Tensor
    body: Tensor
    even_body: Tensor
    trunk: Tensor
    fine: Tensor


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of features: how cells are made, and which value of a mirror image corresponds to each value."""

    cells: Callable[[_Views], Tensor]
    mirror: list[int]

    def both(self, views: _Views) -> tuple[Tensor, Tensor]:
        """Return the features (n,D) of clips and of their mirror images."""
        cells = self.cells(views)
        return cells.flatten(1), cells[:, self.mirror].flip(-1).flatten(1)


class Features:
    """What the attacker looks at.

    Args:
        frames: Some of the clips it learns from, (N,T,H,W,C) uint8.
        rng: Draws patches and colours.
    """

    @torch.no_grad()
    def __init__(self, frames: NDArray[np.uint8], rng: np.random.Generator) -> None:
        coarse = torch.cat([reduced(part, _COARSE) for part in _parts(frames)])
        self._is_bright = bool(coarse.mean() > 0.55)
        self._whitening = Whitening(coarse)
        self._is_blurred = _is_blurred(coarse)
        self._follower = Follower(self._whitening(coarse) if self._is_blurred else coarse)
        drawn = [self._views(part) for part in _parts(frames)]
        views = _Views(*(torch.cat([getattr(one, name) for one in drawn]) for name in _Views.__slots__))
        self._kinds = (
            _Kind(lambda v: _edges(v.body), _EDGES_MIRRORED),
            _Kind(lambda v: _edges(v.even_body), _EDGES_MIRRORED),
            _Kind(lambda v: _pixels(v.white), list(range(2 * frames.shape[-1]))),
            _Kind(lambda v: _pixels(v.white_body), list(range(2 * frames.shape[-1]))),
            _colours(lambda v: v.body, views, (8, 3), rng),
            _colours(lambda v: v.fine, views, (16, 2), rng),
            _patches(lambda v: v.trunk, views, 4, (8, 1), rng),
            _patches(lambda v: v.even_body, views, 5, (6, 2), rng),
            _patches(lambda v: v.white_body, views, 5, (6, 3), rng),
        )

    @torch.no_grad()
    def of(self, frames: NDArray[np.uint8], rows: NDArray[np.int64] | None = None) -> list[Mirrored]:
        """Return the features of every kind, of all clips or of those in some rows."""
        made = [[kind.both(views) for kind in self._kinds] for views in map(self._views, _parts(frames, rows))]
        return [
            Mirrored(*(torch.cat(side).numpy() for side in zip(*kind, strict=True))) for kind in zip(*made, strict=True)
        ]

    def _views(self, frames: Tensor) -> _Views:
        coarse, fine = reduced(frames, _COARSE), reduced(frames, _FINE)
        white = self._whitening(coarse)
        even = _evened(coarse, self._is_bright)
        places = self._follower.places(white if self._is_blurred else coarse)
        scale = fine.shape[-1] // coarse.shape[-1]
        side = min(coarse.shape[-2:])
        wide, middle, narrow = (max(4, round(share * side)) for share in (3 / 8, 1 / 3, 1 / 6))
        return _Views(
            white=white,
            white_body=cropped(white, places, wide),
            body=cropped(coarse, places, wide),
            even_body=cropped(even, places, middle),
            trunk=cropped(even, places, narrow),
            fine=cropped(_evened(fine, self._is_bright), places, scale * narrow, scale),
        )


def _parts(frames: NDArray[np.uint8], rows: NDArray[np.int64] | None = None) -> Iterator[Tensor]:
    """Yield some clips at a time, as (n,T,C,H,W) in [0, 1], with at most 8 frames each."""
    num_frames = frames.shape[1]
    times = np.unique(np.linspace(0, num_frames - 1, min(num_frames, _MOST_FRAMES)).round().astype(int))
    rows = np.arange(len(frames)) if rows is None else rows
    for start in range(0, len(rows), _CHUNK):
        yield torch.from_numpy(frames[rows[start : start + _CHUNK]][:, times]).permute(0, 1, 4, 2, 3).float() / 255


def _is_blurred(frames: Tensor) -> bool:
    """Whether neighbouring pixels are so alike that a person is found better after whitening."""
    return bool(frames.diff(dim=-1).abs().mean() < 0.1 * frames.std())


def _evened(frames: Tensor, is_bright: bool) -> Tensor:
    """Give every channel of every clip the same mean and spread, after a square root that makes shades more alike.

    Where most pixels are bright, the negative is taken: a square root widens the differences between dark shades.
    """
    rooted = (1 - frames if is_bright else frames).clamp(min=0).sqrt()
    spread, mean = torch.std_mean(rooted, dim=(1, 3, 4), keepdim=True)
    return (rooted - mean) / (spread + 1e-3) * 0.16 + 0.5


def _edges(frames: Tensor) -> Tensor:
    """Return histograms of the directions of edges in 8 x 4 cells, their mean and spread over the clip."""
    down, right = (torch.gradient(frames, dim=axis)[0] for axis in (3, 4))
    strength, channel = torch.hypot(down, right).max(dim=2, keepdim=True)  # the colour with the strongest edge
    down, right = (torch.take_along_dim(one, channel, 2) for one in (down, right))
    angle = torch.atan2(down, right).remainder(math.pi) * (_ANGLES / math.pi)
    apart = (angle - torch.arange(_ANGLES)[:, None, None]).abs()
    shares = (1 - torch.minimum(apart, _ANGLES - apart)).clamp(min=0) * strength
    cells = _pooled(shares, (8, 4))
    return _over_time((cells / (cells.mean(dim=(2, 3, 4), keepdim=True) + 1e-5)).sqrt())


_EDGES_MIRRORED = [(half + (_ANGLES - angle) % _ANGLES) for half in (0, _ANGLES) for angle in range(_ANGLES)]


def _pixels(frames: Tensor) -> Tensor:
    """Return the frame in blocks of 2 x 2 pixels, their mean and spread over the clip."""
    return _over_time(_pooled(frames, (frames.shape[-2] // 2, frames.shape[-1] // 2)))


def _colours(
    view: Callable[[_Views], Tensor], drawn: _Views, cells: tuple[int, int], rng: np.random.Generator
) -> _Kind:
    """Make a kind that tells how often each colour of a palette is near, averaged over the clip."""
    pixels = view(drawn).movedim(2, -1).flatten(0, 3)  # (pixels,C)
    palette = pixels[rng.choice(len(pixels), _NUM_COLOURS)]
    some = pixels[rng.choice(len(pixels), 1000)]
    near = torch.cdist(some, palette).square().min(dim=1).values.median() + 1.5e-5
    weight = (palette / near)[:, :, None, None]
    bias = -palette.square().sum(dim=1) / (2 * near)

    def made(views: _Views) -> Tensor:
        frames = view(views)
        shares = functional.conv2d(frames.flatten(0, 1), weight, bias).softmax(dim=1).unflatten(0, frames.shape[:2])
        return _pooled(shares, cells).mean(dim=1).sqrt()

    return _Kind(made, list(range(_NUM_COLOURS)))


def _patches(
    view: Callable[[_Views], Tensor], drawn: _Views, side: int, cells: tuple[int, int], rng: np.random.Generator
) -> _Kind:
    """Make a kind that tells how alike the frame is to small patches of other clips, averaged over the clip."""
    frames = view(drawn).flatten(0, 1)
    side = min(side, *frames.shape[-2:])
    count, channels, height, width = frames.shape
    corners = (rng.integers(0, count, 4000), *(rng.integers(0, length - side + 1, 4000) for length in (height, width)))
    found = torch.stack([frames[n, :, i : i + side, j : j + side] for n, i, j in zip(*corners, strict=True)])
    both = torch.cat([found, found.flip(-1)]).flatten(1)  # so that filters and features of mirror images are mirrored
    mean = both.mean(dim=0)
    values, vectors = torch.linalg.eigh(torch.cov((both - mean).T))
    whiten = (vectors / (values.clamp(min=0) + 0.05 * values.mean() + 1e-9).sqrt()) @ vectors.T
    whitened = (found.flatten(1) - mean) @ whiten
    lengths = whitened.norm(dim=1)
    chosen = whitened[lengths >= lengths.median()][:_NUM_PATCHES]
    chosen = (chosen / chosen.norm(dim=1, keepdim=True).clamp(min=1e-6)).unflatten(1, (channels, side, side))
    filters = torch.cat([chosen, chosen.flip(-1)]).flatten(1) @ whiten
    bias = -1 - filters @ mean
    filters = filters.unflatten(1, (channels, side, side))

    def made(views: _Views) -> Tensor:
        frames = view(views)
        alike = functional.conv2d(frames.flatten(0, 1), filters, bias).relu()
        return _pooled(alike.unflatten(0, frames.shape[:2]), cells).mean(dim=1).sqrt()

    mirror = list(range(len(chosen), 2 * len(chosen))) + list(range(len(chosen)))
    return _Kind(made, mirror)


def _pooled(values: Tensor, cells: tuple[int, int]) -> Tensor:
    """Average (n,T,K,H,W) over the cells of a grid: (n,T,K,R,S)."""
    rows, columns = (min(most, have) for most, have in zip(cells, values.shape[-2:], strict=True))
    pooled: Tensor = functional.adaptive_avg_pool2d(values.flatten(0, 1), (rows, columns))
    return pooled.view(*values.shape[:3], rows, columns)


def _over_time(cells: Tensor) -> Tensor:
    """Return mean and spread over the clip: (n,2K,R,S)."""
    return torch.cat([cells.mean(dim=1), cells.std(dim=1, correction=0)], dim=1)
