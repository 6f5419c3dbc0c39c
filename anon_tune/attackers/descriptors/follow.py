"""Where the person is in every frame, so that frames can be cropped around it.

Persons are found without labels: a template of what moves and has edges is made from all clips, as in congealing
(Learned-Miller, PAMI 2006), and every clip gets the smoothest path on which the template fits.

Shapes: n clips, T frames per clip, C channels, H height, W width, P = W + 1 horizontal places.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

_ROUNDS = 4
_UP = 3
"""Rows by which a person may stand higher or lower than in most clips."""

_STIFF = 0.04
_CENTRED = 0.3


def reduced(frames: Tensor, side: int) -> Tensor:
    """Average frames (n,T,C,H,W) over square blocks, so that the shorter side has at least ``side`` pixels."""
    factor = min(frames.shape[-2:]) // side
    return functional.avg_pool2d(frames.flatten(0, 1), factor).unflatten(0, frames.shape[:2]) if factor > 1 else frames


def cropped(frames: Tensor, places: tuple[Tensor, Tensor], half: int, scale: int = 1) -> Tensor:
    """Crop frames (n,T,C,H,W) to a width of ``2 * half`` around the person; border pixels fill what is outside.

    Args:
        frames: The frames.
        places: Of `Follower.places`.
        half: Half the width.
        scale: How many pixels of these frames are one pixel of the frames in which the places were found.
    """
    height, width = frames.shape[-2:]
    right, down = (place * scale for place in places)
    rows = (down[..., None] + torch.arange(height)).clamp(0, height - 1)
    columns = (right[..., None] + (width // 2 - half + torch.arange(2 * half))).clamp(0, width - 1)
    shifted = torch.take_along_dim(frames, rows[:, :, None, :, None], 3)
    return torch.take_along_dim(shifted, columns[:, :, None, None, :], 4)


class Whitening:
    """Gives spatial frequencies the strengths that they have in photographs, so that a blur is undone.

    Args:
        frames: (n,T,C,H,W) in [0, 1], from which the present strengths are estimated.
    """

    def __init__(self, frames: Tensor) -> None:
        height, width = frames.shape[-2:]
        self._down, self._right = _cosines(height), _cosines(width)
        power = (self._transformed(frames) * 255).square().mean(dim=(0, 1))
        frequency = torch.hypot(torch.arange(height)[:, None] / height, torch.arange(width) / width)
        natural = 1 / (frequency.square() + 0.003)
        natural *= power[:, :3, :3].sum() / natural[:3, :3].sum() / len(power)
        rounding = 0.1  # the variance of rounding to whole levels, a little more: below it there is only noise
        gain = (natural / (power + rounding)).sqrt() * ((power - rounding) / (power + 1e-6)).clamp(0, 1)
        self._gain = gain.clamp(0, 60)
        self._gain[:, 0, 0] = 1

    def __call__(self, frames: Tensor) -> Tensor:
        """Return frames of the same shape."""
        return self._down.T @ (self._transformed(frames) * self._gain) @ self._right

    def _transformed(self, frames: Tensor) -> Tensor:
        return self._down @ frames @ self._right.T


def _cosines(length: int) -> Tensor:
    """Return the matrix of the orthonormal discrete cosine transform."""
    at = torch.arange(length)
    matrix = torch.cos(math.pi / length * (at[None] + 0.5) * at[:, None]) * math.sqrt(2 / length)
    matrix[0] /= math.sqrt(2)
    return matrix


class Follower:
    """Finds the person in every frame.

    Args:
        frames: (n,T,C,H,W) in [0, 1], to which the template is fitted.
    """

    def __init__(self, frames: Tensor) -> None:
        seen = _salient(frames)
        *_, height, width = seen.shape
        moving = _smooth(seen[:, :, 0].sum(dim=-2).square(), 1)  # (n,T,W)
        middle = (moving * torch.arange(width)).sum(dim=-1) / (moving.sum(dim=-1) + 1e-9)
        right = (middle - width / 2).round().long().clamp(-(width // 2), width // 2)
        down = torch.zeros_like(right)
        weight = torch.exp(-((torch.arange(width) - (width - 1) / 2) / (_CENTRED * width)).square())
        for _ in range(_ROUNDS):
            rows = (_UP + down)[..., None] + torch.arange(height)
            columns = (width // 2 + right)[..., None] + torch.arange(width)
            there = torch.take_along_dim(_padded(seen), rows[:, :, None, :, None], 3)
            mean = torch.take_along_dim(there, columns[:, :, None, None, :], 4).mean(dim=(0, 1))
            template = (mean - mean.mean(dim=(1, 2), keepdim=True)) * weight
            self._template = template - template.mean(dim=(1, 2), keepdim=True)
            right, down = self._places(seen)

    def places(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return how far the person is right of and below the middle of each frame, in pixels (n,T) each."""
        return self._places(_salient(frames))

    def _places(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        *_, width = seen.shape
        fits = functional.conv2d(_padded(seen).flatten(0, 1), self._template[None])[:, 0].unflatten(0, seen.shape[:2])
        fits = fits / (seen.std(dim=(1, 2, 3, 4), correction=0)[:, None, None, None] + 1e-6)
        best, rows = fits.max(dim=2)  # (n,T,P)
        unit = best.std(dim=(1, 2), correction=0)[:, None, None]
        place = torch.arange(best.shape[-1], dtype=best.dtype)
        best = best - 0.5 * unit * ((place - width // 2) / (_CENTRED * width)).square()
        path = _best_path(best, -_STIFF * unit * (place[:, None] - place).square())
        down = torch.take_along_dim(rows, path[..., None], 2)[..., 0]
        return path - width // 2, down - _UP


def _best_path(values: Tensor, steps: Tensor) -> Tensor:
    """Return the places (n,T) with the largest sum of values (n,T,P) and of steps (n,P,P) between them; by Viterbi."""
    total, back = values[:, 0], []
    for at in range(1, values.shape[1]):
        reached, origin = (total[:, :, None] + steps).max(dim=1)
        total = reached + values[:, at]
        back.append(origin)
    path = [total.argmax(dim=1)]
    for origin in reversed(back):
        path.append(torch.take_along_dim(origin, path[-1][:, None], 1)[:, 0])
    return torch.stack(path[::-1], dim=1)


def _salient(frames: Tensor) -> Tensor:
    """Return what differs from the clip's median, what changes, and what has edges (n,T,3,H,W); each about 1."""
    apart = (frames - frames.median(dim=1, keepdim=True).values).abs().mean(dim=2)
    changes = frames.diff(dim=1).abs().mean(dim=2)
    changes = torch.cat([changes[:, :1], changes], dim=1) if changes.shape[1] else torch.zeros_like(apart)
    down, right = (torch.gradient(frames, dim=axis)[0] for axis in (3, 4))
    edges = (down.abs() + right.abs()).mean(dim=2)
    kinds = (_smooth(_smooth(apart, 2), 3), changes, _smooth(_smooth(edges, 2), 3))
    scaled = [(kind / (kind.mean(dim=(1, 2, 3), keepdim=True) + 1e-6)).clamp(max=2.5) for kind in kinds]
    scaled[1] = scaled[1] / 2
    return torch.stack(scaled, dim=2)


def _padded(seen: Tensor) -> Tensor:
    half = seen.shape[-1] // 2
    return functional.pad(seen, (half, half, _UP, _UP))


def _smooth(values: Tensor, axis: int) -> Tensor:
    """Average each value with its neighbours along an axis, with weights 1, 2, 1."""
    length = values.shape[axis]
    before = values.index_select(axis, torch.arange(-1, length - 1).clamp(min=0))
    after = values.index_select(axis, torch.arange(1, length + 1).clamp(max=length - 1))
    return (before + 2 * values + after) / 4
