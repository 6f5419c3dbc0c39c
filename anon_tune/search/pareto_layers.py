"""Nondominated layers that are kept up to date as points arrive, for two losses."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from anon_tune.pareto import default_reference


class ParetoLayers:
    """Points with two losses in nondominated layers.

    Adding one of n points moves others down only where it must: about the square root of n layers, each in one
    piece, instead of sorting all of them anew.

    Source:
        The observation that a layer pushes one contiguous piece into the next is that of Yakupov and Buzdalov
        2015 for two objectives; they keep layers in trees, we in sorted lists.

    Example:
        >>> layers = ParetoLayers()
        >>> [layers.add("a", (2.0, 2.0)), layers.add("b", (1.0, 3.0)), layers.add("c", (1.0, 1.0))]
        [0, 0, 0]
        >>> layers.names(1)
        ['b', 'a']
    """

    def __init__(self) -> None:
        # Each layer sorted by its first loss, which sorts the second downwards: hence its negative.
        self._layers: list[tuple[list[float], list[float], list[str]]] = []
        self.losses: dict[str, tuple[float, float]] = {}

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.losses)

    def names(self, layer: int) -> list[str]:
        """Return the points of a layer, by their first loss."""
        return self._layers[layer][2]

    def starts(self) -> Iterator[int]:
        """Return, layer by layer, how many points lie in those before it."""
        sizes = [len(names) for _, _, names in self._layers]
        return (end - size for end, size in zip(accumulate(sizes), sizes, strict=True))

    def coverage(self, layer: int) -> NDArray[np.float64]:
        """Return what each point of a layer alone covers, in the order of `names`.

        As `anon_tune.pareto.coverage` without a reference; a layer is sorted already, so it takes no sweep.
        """
        rows = np.column_stack([self._layers[layer][0], np.negative(self._layers[layer][1])])
        right, top = default_reference(rows)
        return np.asarray(np.diff(rows[:, 0], append=right) * -np.diff(rows[:, 1], prepend=top))

    def layer_of(self, losses: tuple[float, float]) -> int:
        """Return the first layer that holds no point which dominates these losses."""
        low, high = 0, len(self._layers)
        while low < high:  # what a layer does not dominate, no later one does
            middle = (low + high) // 2
            if self._dominates(middle, losses):
                low = middle + 1
            else:
                high = middle
        return low

    def add(self, name: str, losses: tuple[float, float]) -> int:
        """Add a point and return its layer.

        Args:
            name: Not yet there.
            losses: Both finite.
        """
        self.losses[name] = losses
        layer = index = self.layer_of(losses)
        moved = ([losses[0]], [-losses[1]], [name])
        while moved[2]:
            if index == len(self._layers):
                self._layers.append(([], [], []))
            firsts, seconds, _ = self._layers[index]
            # What a piece dominates is one piece too: from its first point's first loss to its last one's second.
            low, high = bisect_left(firsts, moved[0][0]), bisect_right(seconds, moved[1][-1])
            equal = low < len(firsts) and (firsts[low], seconds[low]) == (moved[0][0], moved[1][0])
            piece = slice(low, low if equal else max(low, high))
            pushed = tuple(column[piece] for column in self._layers[index])
            for column, values in zip(self._layers[index], moved, strict=True):
                column[piece] = values  # type: ignore[index]
            moved, index = pushed, index + 1  # type: ignore[assignment]
        return layer

    def _dominates(self, layer: int, losses: tuple[float, float]) -> bool:
        firsts, seconds, _ = self._layers[layer]
        at = bisect_right(firsts, losses[0]) - 1  # of those not larger in the first loss, the least in the second
        if at < 0:
            return False
        first, second = firsts[at], -seconds[at]
        return second <= losses[1] and (first, second) != losses
