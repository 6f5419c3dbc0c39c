"""What the trials of a study take, from the times of a few of its recipes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from anon_tune.methods import is_trained
from anon_tune.search.parameters import Range, Value

if TYPE_CHECKING:
    from anon_tune.evaluation.timing import MeasuringTimes
    from anon_tune.recipe import Recipe
    from anon_tune.search import SearchSpace
    from anon_tune.worker.timing import RecipeTimes

Params = Mapping[str, Any]

_COUNTS = (
    "training.num_steps",
    "training.num_epochs",
    "training.warmup_steps",
    "anonymizer.pretrain_steps",
    "privacy.restart_steps",
)
_FREE = (".seed", ".weights")


@dataclass(frozen=True, slots=True)
class TrialSeconds:
    """Seconds of one trial, over all its rungs."""

    training: float
    measuring: float

    @property
    def total(self) -> float:
        """All seconds."""
        return self.training + self.measuring


def costly_names(space: SearchSpace) -> list[str]:
    """Return the searched names that may change how long a step takes: choices, and ranges of whole numbers.

    A fraction, such as a learning rate or a weight, does not change it. How many steps a trial has is known without
    timing anything.
    """
    return [
        name
        for name, parameter in space.search.items()
        if not (isinstance(parameter, Range) and not parameter.integer)
        and name not in _COUNTS
        and not name.endswith(_FREE)
    ]


class StepCosts:
    """Predicts the times of any recipe of a search space.

    The times of a recipe are those of its method, multiplied by a factor for every costly name. Between two timed
    values of a number, the factor is on a straight line.

    Args:
        space: The search space.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space, self._names = space, costly_names(space)
        self._bases: dict[str, tuple[Params, RecipeTimes]] = {}
        self._factors: dict[str, dict[Value, float]] = {}
        self._correction = 1.0
        self._measured: list[tuple[float, MeasuringTimes]] = []  # by the seconds of a step

    def to_time(self) -> list[Params]:
        """Return the params to time: a base point for every method, and each other value of every costly name."""
        seen: dict[tuple[Any, ...], Params] = {}
        for params in self._space.probe_params():
            key = (self._space.method(params), *(params.get(name) for name in self._names))
            if is_trained(str(key[0])):
                seen.setdefault(key, params)
        return [*seen.values()]

    def learn(self, params: Params, times: RecipeTimes) -> None:
        """Take the times of some params, in the order of `to_time`."""
        method = self._space.method(params)
        if method not in self._bases:
            self._bases[method] = params, times
        base, usual = self._bases[method]
        for name in self._names:
            if name in params and name != "method":
                known = self._factors.setdefault(name, {})
                factor = times.step_s / usual.step_s if params[name] != base.get(name) and usual.step_s else 1.0
                known.setdefault(params[name], factor)

    def correct(self, timed: Iterable[tuple[Params, RecipeTimes]]) -> None:
        """Take the times of the cheapest and the dearest recipe, measurements included.

        All predictions are multiplied so that those of these recipes are on average what they took.
        """
        timed = [*timed]
        pairs = [(self.step_s(params), times.step_s) for params, times in timed if times.step_s]
        predicted, took = (sum(column) for column in zip(*pairs, strict=True)) if pairs else (0.0, 0.0)
        self._correction = took / predicted if predicted else 1.0
        known = [(self.step_s(params), times.measuring) for params, times in timed if times.measuring is not None]
        self._measured = sorted(known, key=lambda pair: pair[0])

    def measuring(self, params: Params) -> MeasuringTimes:
        """Predict the times of measurements: an anonymizer that trains slowly also takes longer to be measured."""
        (low_s, low), (high_s, high) = self._measured[0], self._measured[-1]
        share = (self.step_s(params) - low_s) / (high_s - low_s) if high_s > low_s else 0.5
        share = min(max(share, 0.0), 1.0)
        parts = ((getattr(low, name), getattr(high, name)) for name in ("rung_s", "full_s", "raw_s"))
        return type(low)(*(a + share * (b - a) for a, b in parts))

    def step_s(self, params: Params) -> float:
        """Predict the seconds of a step; 0 for a closed-form method."""
        base = self._base(params)
        return 0.0 if base is None else base.step_s * self._factor(params)

    def seconds(self, params: Params, recipe: Recipe, levels: Sequence[int], fate: Sequence[int]) -> TrialSeconds:
        """Predict the seconds of a trial that is measured at some rungs."""
        base = self._base(params)
        times = (0.0, 0.0, 0.0, 0.0)
        if base is not None:
            factor = self._factor(params)
            times = base.start_s, base.pretrain_s * factor, base.warmup_s * factor, base.step_s * factor
        return _seconds(times, recipe, levels, fate, self.measuring(params))

    def _base(self, params: Params) -> RecipeTimes | None:
        known = self._bases.get(self._space.method(params))
        return None if known is None else known[1]

    def _factor(self, params: Params) -> float:
        factor = self._correction
        for name, known in self._factors.items():
            if name in params:
                factor *= _between(known, params[name])
        return factor


def timed_seconds(times: RecipeTimes, recipe: Recipe, levels: Sequence[int], fate: Sequence[int]) -> TrialSeconds:
    """Return the seconds of a trial whose own recipe was timed, measurement included."""
    assert times.measuring is not None
    parts = times.start_s, times.pretrain_s, times.warmup_s, times.step_s
    return _seconds(parts, recipe, levels, fate, times.measuring)


def _seconds(
    times: tuple[float, float, float, float],
    recipe: Recipe,
    levels: Sequence[int],
    fate: Sequence[int],
    measuring: MeasuringTimes,
) -> TrialSeconds:
    start_s, pretrain_s, warmup_s, step_s = times
    steps = levels[fate[-1]]
    restart_steps = recipe.privacy.restart_steps
    num_warmups = recipe.training.warmup_steps * (1 + ((steps - 1) // restart_steps if restart_steps else 0))
    training = start_s * len(fate) + pretrain_s * recipe.anonymizer.pretrain_steps
    training += warmup_s * num_warmups + step_s * steps
    num_full = int(fate[-1] == len(levels) - 1)
    measured = measuring.rung_s * (len(fate) - num_full) + measuring.full_s * num_full
    return TrialSeconds(training if is_trained(recipe.method) else 0.0, measured)


def _between(known: Mapping[Value, float], value: Value) -> float:
    """Return the factor of a value, between those of the nearest timed numbers."""
    if value in known:
        return known[value]
    numbers = sorted(one for one in known if isinstance(one, int | float) and not isinstance(one, bool))
    if not numbers or isinstance(value, str | bool):
        return 1.0
    below = max((n for n in numbers if n <= value), default=numbers[0])
    above = min((n for n in numbers if n >= value), default=numbers[-1])
    if below == above:
        return known[below]
    share = (value - below) / (above - below)
    return known[below] + share * (known[above] - known[below])
