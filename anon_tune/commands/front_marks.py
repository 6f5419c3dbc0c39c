"""A point of a small plot of a front. Loads nothing, so that help is printed at once."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Mark(Enum):
    """What a point of the plot is."""

    FRONT = "front"
    OTHER = "other"
    IDENTITY = "identity"
    BLACK_OUT = "black-out"


@dataclass(frozen=True, slots=True)
class FrontPoint:
    """A measured trial.

    Attributes:
        leakage: In [0, 1].
        accuracy: In [0, 1].
        mark: What it is.
    """

    leakage: float
    accuracy: float
    mark: Mark
