"""Keeps points with two losses sorted into nondominated layers while points arrive."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from anon_tune.pareto import default_reference


class ParetoLayers:
    """Points with two losses in nondominated layers.

    The layer with index k holds the points of front rank k. A new point moves others to the next layer only where it
    must. With n points it touches about the square root of n layers, and moves one contiguous piece of each, so
    nothing is sorted again.

    Source:
        Yakupov and Buzdalov 2015 observed for two objectives that a layer pushes one contiguous piece into the next.
        They keep layers in trees; we keep them in sorted lists.

    Example:
        >>> layers = ParetoLayers()
        >>> [layers.add("a", (2.0, 2.0)), layers.add("b", (1.0, 3.0)), layers.add("c", (1.0, 1.0))]
        [0, 0, 0]
        >>> layers.names(1)
        ['b', 'a']
    """

    def __init__(self) -> None:
        # A layer sorted by the first loss has falling second losses. It stores their negatives, which rise, for bisect.
        self._layers: list[tuple[list[float], list[float], list[str]]] = []
        self.losses: dict[str, tuple[float, float]] = {}

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.losses)

    def names(self, layer: int) -> list[str]:
        """Return the names of the points in a layer, smallest first loss first."""
        return self._layers[layer][2]

    def starts(self) -> Iterator[int]:
        """Return for each layer how many points lie in the layers before it."""
        sizes = [len(names) for _, _, names in self._layers]
        return (end - size for end, size in zip(accumulate(sizes), sizes, strict=True))

    def coverage(self, layer: int) -> NDArray[np.float64]:
        """Return the hypervolume that only this point of its layer covers, for each point in the order of `names`.

        Same result as `anon_tune.pareto.coverage` without a reference point, but faster, because a layer is already
        sorted.
        """
        rows = np.column_stack([self._layers[layer][0], np.negative(self._layers[layer][1])])
        right, top = default_reference(rows)
        return np.asarray(np.diff(rows[:, 0], append=right) * -np.diff(rows[:, 1], prepend=top))

    def layer_of(self, losses: tuple[float, float]) -> int:
        """Return the index of the first layer in which no point dominates these losses."""
        low, high = 0, len(self._layers)
        while low < high:  # if no point of a layer dominates the losses, no point of a later layer does
            middle = (low + high) // 2
            if self._dominates(middle, losses):
                low = middle + 1
            else:
                high = middle
        return low

    def add(self, name: str, losses: tuple[float, float]) -> int:
        """Add a point and return the index of its layer.

        Args:
            name: A name that no point has yet.
            losses: Two finite numbers.
        """
        self.losses[name] = losses
        layer = index = self.layer_of(losses)
        moved = ([losses[0]], [-losses[1]], [name])
        while moved[2]:
            if index == len(self._layers):
                self._layers.append(([], [], []))
            firsts, seconds, _ = self._layers[index]
            # The points that the moved piece dominates are contiguous too. They begin at the first loss of the piece's
            # first point and end at the second loss of its last point.
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
        # Of the points whose first loss is not larger, the last one has the smallest second loss.
        at = bisect_right(firsts, losses[0]) - 1
        if at < 0:
            return False
        first, second = firsts[at], -seconds[at]
        return second <= losses[1] and (first, second) != losses
