"""What a study searches: ranges, choices, conditions, fixed values and points to try first."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from anon_tune.errors import RecipeError, SpaceError, suggest
from anon_tune.recipe import Recipe
from anon_tune.study.rungs import rung_levels

Value = StrictFloat | StrictInt | StrictBool | StrictStr
Number = StrictFloat | StrictInt

_NEVER_SEARCHED = ("method", "evaluation.")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Range(_Part):
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


class Choices(_Part):
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


class Rungs(_Part):
    """Rungs at ``min_steps * factor**k`` below the last step; about one trial in ``factor`` goes on."""

    min_steps: Annotated[int, Field(ge=1)]
    factor: Annotated[int, Field(ge=2)] = 3


class StudyDefaults(_Part):
    """What a space proposes for a study; the command line may say otherwise.

    ``rungs`` is false for a study that stops nothing early.
    """

    name: str = ""
    num_trials: Annotated[int, Field(ge=1)] = 32
    sampler: Literal["auto", "tpe", "gp", "nsga2", "random"] = "auto"
    rungs: Rungs | Literal[False] = False


class SearchSpace(_Part):
    """A checked search space.

    Attributes:
        where: The file it came from, named in errors.
        fixed: Recipe names with one value in every trial.
        search: Recipe names that are sampled, every name after those it depends on.
        first: Points to try first; what they leave out is sampled.
        study: Defaults of the study.

    Example:
        >>> space = SearchSpace.from_tables({"search": {"penalty.weight": {"low": 0.1, "high": 10.0}}}, "x.toml")
        >>> space.recipe({"penalty.weight": 2.0}).penalty.weight.start
        2.0
    """

    where: str
    fixed: Mapping[str, Value] = {}
    search: Mapping[str, Parameter]
    first: tuple[Mapping[str, Value], ...] = ()
    study: StudyDefaults = StudyDefaults()

    @classmethod
    def load(cls, path: Path | str, overrides: Mapping[str, Any] | None = None) -> SearchSpace:
        """Read a TOML file and what it extends.

        Args:
            path: The file.
            overrides: Recipe names to values that win over the file and end the search of them.

        Raises:
            SpaceError: The file breaks a rule, or an override names what no recipe knows.
        """
        from anon_tune.study.space_file import read_tables

        return cls.from_tables(read_tables(Path(path), overrides or {}), str(path))

    @classmethod
    def from_tables(cls, tables: Mapping[str, Any], where: str) -> SearchSpace:
        """Check resolved tables, with flat names in ``fixed``, ``search`` and ``first``.

        Raises:
            SpaceError: A rule is broken.
        """
        from anon_tune.study.space_file import parse_tables

        space = parse_tables(tables, where)
        space._check()
        return space

    def tables(self) -> dict[str, Any]:
        """Return what `from_tables` takes, ready for TOML."""
        search = {n: p.model_dump(mode="json", exclude_defaults=True) for n, p in self.search.items()}
        return {
            "fixed": dict(self.fixed),
            "search": search,
            "first": [dict(point) for point in self.first],
            "study": self.study.model_dump(mode="json"),
        }

    def recipe(self, params: Mapping[str, Any], method: str = "adversarial") -> Recipe:
        """Return the recipe of a trial.

        Args:
            params: Sampled values; must be empty for an anchor, which takes only the fixed
                measurement and training lengths.
            method: As in `Recipe`.

        Raises:
            RecipeError: A value is out of range.
        """
        fixed = self.fixed
        if method != "adversarial":
            fixed = {n: v for n, v in fixed.items() if n.startswith(("evaluation.", "training."))}
        return Recipe.from_params({"method": method, **fixed, **params}, self.where)

    def is_active(self, name: str, params: Mapping[str, Any]) -> bool:
        """True if every choice that a searched name depends on has a value that calls for it."""
        return all(
            other in params and any(params[other] == value for value in values)
            for other, values in self.search[name].when.items()
        )

    def levels(self, recipe: Recipe, *, rungs: bool = True) -> tuple[int, ...]:
        """Return the steps at which a trial of this recipe is measured, the last in full."""
        steps = recipe.training.num_steps
        if self.study.rungs is False or not rungs:
            return (steps,)
        return rung_levels(self.study.rungs.min_steps, self.study.rungs.factor, steps)

    def fingerprint(self) -> str:
        """Return 16 hex digits that change with what is fixed, searched or measured at a rung."""
        tables = self.tables()
        kept = {"fixed": tables["fixed"], "search": tables["search"], "rungs": tables["study"]["rungs"]}
        text = json.dumps(kept, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _check(self) -> None:
        """Try the recipe at every end and choice.

        One value at a time is moved away from a base point, with the choices it depends on set so
        that it is searched at all: enough to find a value out of range, and linear in their number.
        """
        if "method" in self.fixed:
            raise SpaceError(
                self.where, "'method' must not be fixed", remedy="Every study trains one and adds the anchors"
            )
        for name in self.search:
            if name.startswith(_NEVER_SEARCHED):
                rule = f"'{name}' must not be searched, or scores do not compare"
                raise SpaceError(self.where, rule, remedy="Set it under [fixed]" if "." in name else "Remove it")
        base = dict(self._point({}))
        self._try(base, "the first value of every range and choice")
        self._try({}, "method = 'identity'", method="identity")
        for name, parameter in self.search.items():
            for value in parameter.probes:
                self._try(dict(self._point(self._ancestors(name) | {name: value})), f"{name} = {value}")
        for point in self.first:
            self._check_first(point)

    def _check_first(self, point: Mapping[str, Value]) -> None:
        for name, value in point.items():
            if name not in self.search:
                raise SpaceError(
                    self.where, f"[[first]] names '{name}', which is not searched", remedy=suggest(name, self.search)
                )
            if not self.search[name].accepts(value):
                raise SpaceError(self.where, f"[[first]] '{name}' must be within its range or choices", value)

    def _try(self, params: Mapping[str, Any], at: str, method: str = "adversarial") -> None:
        try:
            self.recipe(params, method)
        except RecipeError as error:
            remedy = "Change the search space so that every trial has a valid recipe"
            raise SpaceError(self.where, f"no recipe at {at}, {error.rule}", error.got, remedy) from None

    def _ancestors(self, name: str) -> dict[str, Value]:
        """Choose values of the choices above a name so that it is searched."""
        chosen: dict[str, Value] = {}
        for other, values in self.search[name].when.items():
            chosen |= self._ancestors(other) | {other: values[0]}
        return chosen

    def _point(self, chosen: Mapping[str, Value]) -> Iterator[tuple[str, Value]]:
        params: dict[str, Value] = {}
        for name, parameter in self.search.items():
            if self.is_active(name, params):
                params[name] = chosen.get(name, parameter.probes[0])
                yield name, params[name]
