"""Quasi-random points and grid points, which are known before the study begins and need no trial results."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from anon_tune.search.parameters import Range, Sampler
from anon_tune.search.space import SearchSpace

_MOST_LOOKS = 1_000_000  # grid points examined at most; many may coincide, because inactive names are left out


def quasi_random_point(space: SearchSpace, seed: int, number: int) -> dict[str, Any]:
    """Return one point of a scrambled Sobol sequence.

    Args:
        space: The search space; a name whose condition does not hold is left out of the point.
        seed: Seed of the scrambling; a study uses one sequence.
        number: Place in the sequence, from 0.

    Source:
        Sobol 1967 with the scrambling of Owen 1995, computed by scipy.
    """
    from scipy.stats import qmc  # loads slowly, and 'anon-tune --help' needs none of it

    engine = qmc.Sobol(len(space.search), scramble=True, rng=seed)
    places = engine.fast_forward(number).random(1)[0] if number else engine.random(1)[0]
    point: dict[str, Any] = {}
    for (name, parameter), place in zip(space.search.items(), places.tolist(), strict=True):
        if space.is_active(name, point):
            point[name] = parameter.at(min(place, math.nextafter(1.0, 0.0)))
    return point


def grid_points(space: SearchSpace, num_trials: int, seed: int) -> list[Mapping[str, Any]]:
    """Return a shuffled grid of at most `num_trials` different points.

    Choices, ranges of whole numbers and ranges with a step take all their values. Every other range takes the same
    number of values, at least 2: the largest number with which the grid has at most `num_trials` points.

    Args:
        space: The search space.
        num_trials: Number of trials of the study. A larger grid is cut off at this number; a smaller grid makes the
            study shorter.
        seed: Seed of the order. Shuffled, a grid that is cut off still covers the whole space.
    """
    num_values = 2
    while _size(space, num_values + 1) <= num_trials and _size(space, num_values + 1) > _size(space, num_values):
        num_values += 1
    values = {name: parameter.grid(num_values) for name, parameter in space.search.items()}
    size = math.prod(map(len, values.values()))
    points: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for index in _shuffled(size, seed):
        point: dict[str, Any] = {}
        left = index
        for name, choices in values.items():
            left, at = divmod(left, len(choices))
            if space.is_active(name, point):
                point[name] = choices[at]
        points.setdefault(tuple(point.items()), point)  # points that differ only in an inactive name are the same
        if len(points) == num_trials:
            break
    return [*points.values()]


def _shuffled(size: int, seed: int) -> Iterator[int]:
    """Yield the first whole numbers of a shuffle of 0 to `size` - 1, at most `_MOST_LOOKS` of them."""
    drawn = random.Random(seed)
    if size <= sys.maxsize:
        yield from drawn.sample(range(size), min(size, _MOST_LOOKS))
    else:  # the same number twice is hardly ever drawn, and does no harm
        yield from (drawn.randrange(size) for _ in range(_MOST_LOOKS))


def num_points(space: SearchSpace, sampler: Sampler, num_trials: int, seed: int) -> int:
    """Return how many points a study proposes: its number of trials, or fewer if its grid has fewer points."""
    if sampler != "grid":
        return num_trials
    return min(num_trials, len(space.first) + len(grid_points(space, num_trials, seed)))


def _size(space: SearchSpace, num_values: int) -> int:
    return math.prod(len(p.grid(num_values if isinstance(p, Range) else 0)) for p in space.search.values())
