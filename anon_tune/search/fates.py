"""How far the trials of a study get if rungs stop some of them, before any of them has run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from anon_tune.methods import is_trained
from anon_tune.recipe import Recipe
from anon_tune.search.parameters import Rungs
from anon_tune.search.rungs import Rung, deal_bracket
from anon_tune.search.space import SearchSpace

_WORSE, _NOISE = 0.3, 0.05  # how far trials are from the best trade-off, and how far a rung's score is from a trial's


def fates(space: SearchSpace, recipes: Sequence[Recipe], seed: int, rungs: bool = True) -> list[tuple[int, ...]]:
    """Return, for every trial of a study, the indices of the rungs that it is measured at.

    Scores are not known yet. They are drawn at random: each trial is somewhere along a trade-off of the two losses, and
    worse than it by a random amount.

    Args:
        space: The search space, with its rungs.
        recipes: The recipes of the trials in their order, anchors not among them.
        seed: Seed of the study, by which trials are dealt to brackets.
        rungs: False for a study that stops nothing early.
    """
    lasts = [len(space.levels(recipe, rungs=rungs)) - 1 for recipe in recipes]
    table = space.study.rungs if rungs else False
    compared = [
        bool(table) and is_trained(recipe.method) and last > 0 for recipe, last in zip(recipes, lasts, strict=True)
    ]
    found = [[] if judged else sorted({0, last}) for judged, last in zip(compared, lasts, strict=True)]
    if table:
        going = _Field(table, seed, lasts, found)
        numbers = [number for number, judged in enumerate(compared) if judged]
        going.promote(numbers) if table.promote else going.stop(numbers)
    return [tuple(one) for one in found]


@dataclass(frozen=True, slots=True)
class _Field:
    """The trials that rungs compare.

    Attributes:
        rungs: The rungs of the search space.
        seed: Seed of brackets and scores.
        lasts: Index of the last rung of every trial.
        found: Indices of the rungs that every trial was measured at; they are added here.
    """

    rungs: Rungs
    seed: int
    lasts: Sequence[int]
    found: Sequence[list[int]]

    def stop(self, numbers: Sequence[int]) -> None:
        """Let the trials run one after the other; each is judged as soon as it arrives at a rung."""
        rungs: dict[tuple[int, int], Rung] = {}
        for number in numbers:
            bracket = self._bracket(number)
            for index in range(bracket, self.lasts[number] + 1):
                self.found[number].append(index)
                if index < self.lasts[number]:
                    rung = rungs.setdefault((bracket, index), Rung(self.rungs.factor))
                    rung.add(_name(number), self._losses(number, index))
                    if not rung.verdict(_name(number)).keep:
                        break

    def promote(self, numbers: Sequence[int]) -> None:
        """Let all trials wait at each rung; the best go on."""
        for bracket in range(self.rungs.brackets):
            here = [number for number in numbers if self._bracket(number) == bracket]
            index = bracket
            while here:
                rung = Rung(self.rungs.factor)
                for number in here:
                    self.found[number].append(index)
                    if index < self.lasts[number]:
                        rung.add(_name(number), self._losses(number, index))
                here = [int(name) for name in _promoted(rung)]
                index += 1

    def _bracket(self, number: int) -> int:
        dealt = deal_bracket(self.seed, number, self.rungs.brackets, self.rungs.factor)
        return min(dealt, self.lasts[number])

    def _losses(self, number: int, index: int) -> tuple[float, float]:
        own = np.random.default_rng([self.seed, number])
        place, worse = own.random(), _WORSE * abs(own.standard_normal())
        noise = _NOISE * np.random.default_rng([self.seed, number, index]).standard_normal(2)
        return float(place + worse + noise[0]), float(1 - place + worse + noise[1])


def _promoted(rung: Rung) -> Iterator[str]:
    while (name := rung.promotable(everyone=not rung.decides)) is not None:
        rung.promote(name)
        yield name


def _name(number: int) -> str:
    return f"{number:06d}"
