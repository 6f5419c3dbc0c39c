"""What a search-space file is made of: ranges, choices, rungs, defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

Value = StrictFloat | StrictInt | StrictBool | StrictStr
Number = StrictFloat | StrictInt


class Part(BaseModel):
    """A frozen table of a search-space file; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Range(Part):
    """A number between two ends, both included.

    Attributes:
        low: Smallest value.
        high: Largest value, above ``low``.
        log: Sample on a logarithmic scale; ``low`` must be above 0.
        integer: Sample whole numbers only.
        step: Sample ``low + k step`` only; not together with ``log``.
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
    def probes(self) -> tuple[float | int, ...]:
        """The two ends and one value between them that is whole only if all are."""
        if self.integer:
            return int(self.low), int(self.high)
        between = self.low + 0.382 * (self.high - self.low)
        return float(self.low), float(self.high), between

    def accepts(self, value: object) -> bool:
        """True for a number that the sampler could draw, steps aside."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return self.low <= value <= self.high and (not self.integer or float(value).is_integer())


class Choices(Part):
    """One of a few values.

    Attributes:
        choices: The values, at least one, all different.
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

    def accepts(self, value: object) -> bool:
        """True for one of the choices."""
        return any(value == c and isinstance(value, bool) == isinstance(c, bool) for c in self.choices)


Parameter = Range | Choices


class Rungs(Part):
    """Rungs at ``min_steps * factor**k`` below the last step; about one trial in ``factor`` goes on."""

    min_steps: Annotated[int, Field(ge=1)]
    factor: Annotated[int, Field(ge=2)] = 3


class StudyDefaults(Part):
    """What a space proposes for a study; the command line may say otherwise.

    ``rungs`` is false for a study that stops nothing early.
    """

    name: str = ""
    num_trials: Annotated[int, Field(ge=1)] = 32
    sampler: Literal["auto", "tpe", "gp", "nsga2", "random"] = "auto"
    rungs: Rungs | Literal[False] = False
