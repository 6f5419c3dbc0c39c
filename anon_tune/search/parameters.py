"""The tables of a search-space file: ranges, choices, rungs, limits, stop rules and defaults of a study."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from anon_tune.trial import Score

Value = StrictFloat | StrictInt | StrictBool | StrictStr
Number = StrictFloat | StrictInt


class Part(BaseModel):
    """A frozen table of a search-space file; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Range(Part):
    """A number between two ends, both included.

    Attributes:
        low: Smallest value.
        high: Largest value, above ``low``. It is not sampled if no step from ``low`` reaches it.
        log: True to sample on a logarithmic scale; ``low`` must be above 0. Use it for weights and learning rates.
        integer: True to sample whole numbers only.
        step: Sample only ``low``, ``low + step``, ``low + 2 step`` and so on; not together with ``log``.
        when: Searched only while each named choice has one of these values.
    """

    low: Number
    high: Number
    log: bool = False
    integer: bool = False
    step: Number | None = None
    when: Mapping[str, tuple[Value, ...]] = {}

    @model_validator(mode="after")
    def _ends_fit(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low must be below high, got {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"low must be above 0 on a log scale, got {self.low}")
        if self.step is not None and (self.step <= 0 or self.log):
            raise ValueError(f"step must be above 0 and never with log, got {self.step}")
        if self.integer and not all(float(x).is_integer() for x in (self.low, self.high, self.step or 1)):
            raise ValueError(f"an integer range has whole ends and step, got {self.low} to {self.high}")
        return self

    @property
    def last(self) -> Number:
        """The largest value that is sampled: ``high``, or less where steps from ``low`` pass it."""
        if self.step is None:
            return self.high
        low, high, step = (Decimal(str(number)) for number in (self.low, self.high, self.step))
        if (high - low) % step == 0:
            return self.high
        last = low + (high - low) // step * step
        return int(last) if self.integer else float(last)

    @property
    def probes(self) -> tuple[float | int, ...]:
        """Both ends, and a fractional value between them unless the range has whole numbers only."""
        if self.integer:
            return int(self.low), int(self.high)
        between = self.low + 0.382 * (self.high - self.low)
        return float(self.low), float(self.high), between

    def at(self, place: float) -> float | int:
        """Return the value at a place in [0, 1) of the range, on its linear or logarithmic scale."""
        low, high = float(self.low), float(self.high)
        if self.log:
            # Every whole number gets the same share of [0, 1) as it has in the samplers.
            half = 0.5 if self.integer else 0.0
            value = math.exp(math.log(low - half) + place * (math.log(high + half) - math.log(low - half)))
            return min(max(round(value), int(low)), int(high)) if self.integer else min(max(value, low), high)
        step = float(self.step or 1) if self.integer or self.step else 0.0
        if not step:
            return low + place * (high - low)
        value = low + step * int(place * (math.floor((high - low) / step + 1e-9) + 1))
        return round(value) if self.integer else min(value, float(self.last))

    def grid(self, num_values: int) -> Sequence[float | int]:
        """Return evenly spaced values: all if they are whole numbers on a linear scale or steps, else `num_values`."""
        if self.integer and not self.log:
            return range(int(self.low), int(self.high) + 1, int(self.step or 1))
        if self.step is not None:
            count = math.floor((self.high - self.low) / self.step + 1e-9) + 1
            values = [min(float(self.low + self.step * k), float(self.last)) for k in range(count)]
        else:
            places = [k / (num_values - 1) for k in range(num_values)] if num_values > 1 else [0.5]
            low, high = float(self.low), float(self.high)
            values = [low * (high / low) ** p if self.log else low + p * (high - low) for p in places]
            values = [min(max(v, low), high) for v in values]
        return tuple(dict.fromkeys(round(v) if self.integer else float(v) for v in values))

    def accepts(self, value: object) -> bool:
        """True for a number that the sampler could draw."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if not self.low <= value <= self.high or (self.integer and not float(value).is_integer()):
            return False
        places = (value - self.low) / self.step if self.step is not None else 0.0
        return abs(places - round(places)) < 1e-8


class Choices(Part):
    """One of a few values.

    Attributes:
        choices: The values: at least one, and all different.
        when: Searched only while each named choice has one of these values.
    """

    choices: Annotated[tuple[Value, ...], Field(min_length=1)]
    when: Mapping[str, tuple[Value, ...]] = {}

    @model_validator(mode="after")
    def _all_differ(self) -> Self:
        if len(set(self.choices)) < len(self.choices):
            raise ValueError(f"choices must all differ, got {list(self.choices)}")
        return self

    @property
    def probes(self) -> tuple[Value, ...]:
        """Every choice."""
        return self.choices

    def at(self, place: float) -> Value:
        """Return the choice at a place in [0, 1)."""
        return self.choices[int(place * len(self.choices))]

    def grid(self, num_values: int) -> tuple[Value, ...]:
        """Return every choice."""
        return self.choices

    def accepts(self, value: object) -> bool:
        """True for one of the choices."""
        return any(value == c and isinstance(value, bool) == isinstance(c, bool) for c in self.choices)


Parameter = Range | Choices


class Rungs(Part):
    """Rungs: steps at which trials are measured and unpromising ones are stopped. About one in ``factor`` goes on.

    The rungs are at the steps ``min_steps * factor**k`` below the last step.

    Attributes:
        min_steps: Step of the first rung.
        factor: Ratio of the steps of two successive rungs. A larger one stops more trials.
        brackets: Number of brackets that trials are assigned to. Trials of bracket b skip the first b rungs and are
            compared only with each other. Use 2 or more if the first rung may come too early to be informative.
        promote: True to let every trial wait at a rung until it is among the best there, instead of judging it once
            when it arrives. More trials then reach their first rung, and fewer the last step.
    """

    min_steps: Annotated[int, Field(ge=1)]
    factor: Annotated[int, Field(ge=2)] = 3
    brackets: Annotated[int, Field(ge=1)] = 1
    promote: bool = False


_UNKNOWN = 1.0  # a constraint whose value was not measured counts as missed by its whole limit


class Constraints(Part):
    """The limits that a trial must keep to be on the front. None means no limit.

    Attributes:
        leakage_at_most: Largest leakage, a cMAP in (0, 1].
        accuracy_at_least: Smallest accuracy, in (0, 1].
        seconds_per_frame_at_most: Most seconds that the anonymizer may need per frame, on the node that measures it.
        epsilon_at_most: Largest epsilon of all private trials together. It keeps no trial off the front. Instead, the
            study ends before a trial that could exceed it.
    """

    leakage_at_most: Annotated[float, Field(gt=0, le=1)] | None = None
    accuracy_at_least: Annotated[float, Field(gt=0, le=1)] | None = None
    seconds_per_frame_at_most: Annotated[float, Field(gt=0)] | None = None
    epsilon_at_most: Annotated[float, Field(gt=0)] | None = None

    def values(self, score: Score) -> dict[str, float]:
        """Return by which fraction of its limit each constraint is missed; at most 0 if it is kept.

        Values of the validation split are compared, because trials are selected on that split only.
        """
        found = {
            "leakage": (self.leakage_at_most, score.leakage.validation, 1),
            "accuracy": (self.accuracy_at_least, score.accuracy.validation, -1),
            "seconds_per_frame": (self.seconds_per_frame_at_most, score.seconds_per_frame, 1),
        }
        return {
            name: sign * (value - limit) / limit if math.isfinite(value) else _UNKNOWN
            for name, (limit, value, sign) in found.items()
            if limit is not None
        }

    def violation(self, score: Score) -> float:
        """Return the sum of the fractions by which constraints are missed; 0 if all are kept."""
        return violation(self.values(score))


def violation(values: Mapping[str, float]) -> float:
    """Return the sum of the fractions by which constraints are missed; values of kept ones, at most 0, do not count."""
    return sum(max(0.0, value) for value in values.values())


class StopRules(Part):
    """Limits at which a study ends before its last trial. Trials that are running then are finished.

    Attributes:
        seconds: Seconds since this `study` or `resume` began.
        gpu_hours: GPU-hours of all trials, also of earlier runs of the study.
        money: Cost of all trials, also of earlier runs, in the currency of the prices with which nodes are labelled.
        stall_trials: Number of trials that ended since the hypervolume last grew by more than a thousandth.
    """

    seconds: Annotated[float, Field(gt=0)] | None = None
    gpu_hours: Annotated[float, Field(gt=0)] | None = None
    money: Annotated[float, Field(gt=0)] | None = None
    stall_trials: Annotated[int, Field(ge=1)] | None = None

    @property
    def is_empty(self) -> bool:
        """True if no rule ends the study."""
        return not any(getattr(self, name) is not None for name in type(self).model_fields)


Sampler = Literal["auto", "gp", "tpe", "nsga2", "random", "qmc", "grid"]


class StudyDefaults(Part):
    """The table ``[study]``: defaults for a study of a search space, which options of the command line override.

    ``rungs`` is false for a study that stops no trial early.
    """

    name: str = ""
    num_trials: Annotated[int, Field(ge=1)] = 32
    sampler: Sampler = "auto"
    rungs: Rungs | Literal[False] = False
    constraints: Constraints = Constraints()
    stop: StopRules = StopRules()
