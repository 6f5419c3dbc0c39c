"""The spec of a method, which loads without torch: the values it takes and the values it fixes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from anon_tune.recipe import Part

Value = float | int | str | bool
Need = Literal["whole clips", "stills", "persons", "utility task"]

GAME = ("anonymizer", "utility", "privacy", "penalty", "training")
"""Parts of a recipe that a method may use: those of the game."""


@dataclass(frozen=True, slots=True)
class Argument:
    """A value that a closed-form method takes, written after its name: ``blur:4``.

    Attributes:
        name: As in ``name=value``; the first argument may be given by its value alone.
        default: Also tells its type: whole number, number or one of ``choices``.
        low: Smallest value.
        high: Largest value.
        choices: Of a text.
        unit: Of a number, for example ``pixels``.
    """

    name: str
    default: float | int | str
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()
    unit: str = ""


@dataclass(frozen=True, slots=True)
class MethodSpec:
    """Everything that is known about a method before it is built.

    Attributes:
        name: As users write it: lower-case letters, digits and hyphens.
        summary: What it does, in one line.
        builder: The module with its ``build``, loaded when an anonymizer is made; see `anon_tune.methods.building`.
        source: The paper, and how we differ; empty if there is none.
        is_trained: False for a closed-form method.
        arguments: What a closed-form method takes.
        section: The recipe section of a trained one, with a default for every value. Its values are named
            ``<name of the method>.<field>``.
        fixes: Values of the shared recipe that make the method what it is; users cannot change them.
        sets: Values of the shared recipe that a field of the section sets: flat dotted name to field.
        uses: Parts of the shared recipe that it depends on (of `GAME`). Others are not searched for it.
        needs: What it needs besides single frames.
        attackers: Names of attackers of its own, which measure this method besides those of the recipe.
    """

    name: str
    summary: str
    builder: str
    source: str = ""
    is_trained: bool = False
    arguments: tuple[Argument, ...] = ()
    section: type[Part] | None = None
    fixes: Mapping[str, Value] = field(default_factory=dict)
    sets: Mapping[str, str] = field(default_factory=dict)
    uses: tuple[str, ...] = ()
    needs: frozenset[Need] = frozenset()
    attackers: tuple[str, ...] = ()

    def owns(self, name: str) -> bool:
        """True for the flat dotted name of a shared recipe value, or a field of it, that the method fixes or sets."""
        return any(name == own or name.startswith(f"{own}.") for own in (*self.fixes, *self.sets))

    def has_use(self, name: str) -> bool:
        """True for a flat dotted name that a search may vary for this method."""
        part, _, rest = name.partition(".")
        if part == self.name:
            return bool(rest)
        return part in self.uses and not self.owns(name)

    @property
    def example(self) -> str:
        """How the method is written with the default of its first argument, as ``blur:2.0``."""
        first = next(iter(self.arguments), None)
        if first is None:
            return self.name
        value = f"{first.name}={first.default}" if first.choices else str(first.default)
        return f"{self.name}:{value}"
