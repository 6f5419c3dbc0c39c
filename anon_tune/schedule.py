"""A number that changes with the training step: constant, linear, cosine or staircase."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat, model_validator


class Schedule(BaseModel):
    """A number that may change while training runs.

    With ``t = step / num_steps`` in [0, 1], ``a = start`` and ``b = end``::

        constant    a
        linear      a + (b - a) t
        cosine      a + (b - a) (1 - cos(pi t)) / 2
        staircase   a + (b - a) min(floor(t k), k - 1) / (k - 1)      with k = num_stairs

    A plain number stands for a constant schedule, in a recipe file and in Python.

    Attributes:
        kind: The shape of the curve.
        start: Value at step 0; a constant schedule has no other value.
        end: Value at the last step; required for every kind but constant, which has none.
        num_stairs: Number of levels of a staircase, at least 2; only a staircase has it.

    Example:
        >>> Schedule(kind="linear", start=0.0, end=2.0).at(50, 100)
        1.0
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["constant", "linear", "cosine", "staircase"] = "constant"
    start: FiniteFloat
    end: FiniteFloat | None = None
    num_stairs: Annotated[int, Field(ge=2)] | None = None

    @model_validator(mode="after")
    def _parameters_fit_the_kind(self) -> Self:
        if (self.end is None) != (self.kind == "constant"):
            raise ValueError(f"'end' must be given for every kind but constant, and only there ({self.kind})")
        if (self.num_stairs is None) != (self.kind != "staircase"):
            raise ValueError(f"'num_stairs' must be given for a staircase, and only there ({self.kind})")
        return self

    @property
    def lowest(self) -> float:
        """The smallest value that the schedule takes."""
        return self.start if self.end is None else min(self.start, self.end)

    def at(self, step: int, num_steps: int) -> float:
        """Return the value at a step.

        Args:
            step: The training step. Before 0 and after `num_steps`, the value is that at the nearer end.
            num_steps: Number of training steps, at least 1.
        """
        if self.end is None:
            return self.start
        t = min(max(step / num_steps, 0.0), 1.0)
        if self.kind == "cosine":
            t = (1 - math.cos(math.pi * t)) / 2
        elif self.kind == "staircase":
            stairs = self.num_stairs or 2
            t = min(math.floor(t * stairs), stairs - 1) / (stairs - 1)
        return self.start + (self.end - self.start) * t


def _from_number(value: Any) -> Any:
    return {"start": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


ScheduleField = Annotated[Schedule, BeforeValidator(_from_number)]
