"""The search space of a study. Every value in it has been checked against the recipe."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import StrictStr

from anon_tune.errors import RecipeError, SpaceError, suggest
from anon_tune.methods import defaults_of, find, make_recipe
from anon_tune.recipe import Recipe, is_measured_by
from anon_tune.search.method_use import DEFAULT, has_place, methods_of
from anon_tune.search.names import check_names
from anon_tune.search.parameters import Constraints, Parameter, Part, Range, StopRules, StudyDefaults, Value
from anon_tune.search.rungs import rung_levels
from anon_tune.search.space_file import frozen_tables, parse_tables, read_tables, validate


class SearchSpace(Part):
    """A checked search space.

    Attributes:
        where: The file that it came from, for error messages.
        fixed: Recipe names with one value in every trial.
        search: Recipe names that are sampled. A name comes after the names that its condition depends on.
        first: Points to try first; names that they leave out are sampled.
        study: Defaults of the study.
        defaults: Values of the recipe that are neither fixed nor searched. A study keeps the defaults that it began
            with, even if a later version of this package has others.

    Example:
        >>> space = SearchSpace.from_tables({"search": {"penalty.weight": {"low": 0.1, "high": 10.0}}}, "x.toml")
        >>> space.recipe({"penalty.weight": 2.0}).penalty.weight.start
        2.0
    """

    where: str
    fixed: Mapping[str, Value | tuple[StrictStr, ...]] = {}
    search: Mapping[str, Parameter]
    first: tuple[Mapping[str, Value], ...] = ()
    study: StudyDefaults = StudyDefaults()
    defaults: Mapping[str, Any] = {}

    @classmethod
    def load(cls, path: Path | str, overrides: Mapping[str, Any] | None = None) -> SearchSpace:
        """Read a TOML file and the files that it extends.

        Args:
            path: The file.
            overrides: Values by recipe name. They replace those of the file, and these names are not searched.

        Raises:
            SpaceError: The file breaks a rule, or an override has a name that no recipe knows.
        """
        space = cls.from_tables(read_tables(Path(path), overrides or {}), str(path))
        _check_steps(space)
        return space

    @classmethod
    def from_tables(cls, tables: Mapping[str, Any], where: str) -> SearchSpace:
        """Check tables that are already merged with those of the files they extend.

        Args:
            tables: ``fixed``, ``search`` and ``first`` with flat dotted names, ``study``, and, if a study stored the
                tables, ``defaults``.
            where: The file that they came from, for error messages.

        Raises:
            SpaceError: The tables break a rule.
        """
        parsed = parse_tables(tables, where)
        methods = methods_of(parsed["search"], parsed["fixed"])
        space = validate(cls, {"defaults": defaults_of(methods)} | parsed, where)
        space._check()
        return space

    @classmethod
    def unchecked(cls, tables: Mapping[str, Any], where: str) -> SearchSpace:
        """Take the tables of a frozen study as they stand, to look at: its methods need not be known here.

        Raises:
            SpaceError: A range, a condition or a default of the study breaks a rule.
        """
        return validate(cls, frozen_tables(tables, where), where)

    def tables(self) -> dict[str, Any]:
        """Return this space as `from_tables` takes it, in types that TOML knows."""
        search = {n: p.model_dump(mode="json", exclude_defaults=True) for n, p in self.search.items()}
        return {
            "fixed": dict(self.fixed),
            "search": search,
            "first": [dict(point) for point in self.first],
            "study": self.study.model_dump(mode="json", exclude_none=True),
            "defaults": dict(self.defaults),
        }

    def method(self, params: Mapping[str, Any]) -> str:
        """Return the method of a trial: the sampled one, else the fixed one, else ``adversarial``."""
        return str({"method": DEFAULT, **self.fixed, **params}["method"])

    def recipe(self, params: Mapping[str, Any], method: str | None = None) -> Recipe:
        """Return the recipe of a trial.

        If the method is searched, two kinds of fixed values are left out: those that the method of this trial sets
        itself, and those in the section of another method. If the method is fixed, such a value is an error. A
        closed-form method takes only the fixed values of the sections ``evaluation`` and ``training`` and of its own,
        and the utility task.

        Args:
            params: Sampled values; must be empty for an anchor.
            method: Name of the method, as in `Recipe`; None for the method of the params.

        Raises:
            RecipeError: A value is out of range, or the method sets it itself.
        """
        name = self.method(params) if method is None else method
        fixed = dict(self.fixed)
        if not find(name, f"{self.where}: method").is_trained:
            kept = ("training.", f"{find(name).name}.")
            fixed = {n: v for n, v in fixed.items() if n.startswith(kept) or is_measured_by(n)}
        elif "method" in self.search:
            fixed = {n: v for n, v in fixed.items() if has_place(n, name)}
        return make_recipe({**fixed, **params, "method": name}, self.where, self.defaults)

    def with_constraints(self, given: Mapping[str, Any]) -> SearchSpace:
        """Return a copy of this space with some constraints replaced.

        Raises:
            SpaceError: No constraint has this name, or a limit is out of range.
        """
        constraints = validate(Constraints, self.study.constraints.model_dump() | dict(given), "constraints")
        return self.model_copy(update={"study": self.study.model_copy(update={"constraints": constraints})})

    def stop_rules(self, given: Mapping[str, Any], standing: StopRules | None = None) -> StopRules:
        """Return stop rules with some of them replaced.

        Args:
            given: The new values, by name.
            standing: The stop rules to begin from; None for those of this space.

        Raises:
            SpaceError: No stop rule has this name, or a value is out of range.
        """
        return validate(StopRules, (standing or self.study.stop).model_dump() | dict(given), "stop rules")

    def is_active(self, name: str, params: Mapping[str, Any]) -> bool:
        """True if the condition of a searched name holds: every choice that it depends on has one of its values."""
        return all(
            other in params and any(params[other] == value for value in values)
            for other, values in self.search[name].when.items()
        )

    def levels(self, recipe: Recipe, *, rungs: bool = True) -> tuple[int, ...]:
        """Return the steps at which a trial with this recipe is measured; at the last step, it gets its full score.

        Args:
            recipe: The recipe of the trial.
            rungs: False for a study that was told to use no rungs.
        """
        steps = recipe.training.num_steps
        if self.study.rungs is False or not rungs:
            return (steps,)
        return rung_levels(self.study.rungs.min_steps, self.study.rungs.factor, steps)

    def fingerprint(self) -> str:
        """Return 16 hex digits that change with the fixed values, the searched names, the rungs and the constraints."""
        tables = self.tables()
        names = ("rungs", "constraints")
        kept = {"fixed": tables["fixed"], "search": tables["search"], **{n: tables["study"][n] for n in names}}
        text = json.dumps(kept, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def probes(self) -> Iterator[Recipe]:
        """Yield a recipe for both ends of every range and for every choice."""
        for params in self.probe_params():
            yield self.recipe(params)

    def probe_params(self) -> Iterator[dict[str, Value]]:
        """Yield params for both ends of every range and for every choice: a base point, then one value changed."""
        for params, _ in _probes(self):
            yield params

    def _check(self) -> None:
        """Make the recipe of every probe, and refuse what no recipe may have."""
        for name in self.search:
            if is_measured_by(name):
                rule = f"'{name}' must not be searched, because scores could not be compared"
                raise SpaceError(self.where, rule, remedy="Set it under [fixed]")
        self._try({}, "method = 'identity'", method="identity")
        for params, at in _probes(self):
            self._try(params, at)
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

    def _try(self, params: Mapping[str, Any], at: str, method: str | None = None) -> None:
        try:
            recipe = self.recipe(params, method)
        except RecipeError as error:
            remedy = "Change the search space so that every trial has a valid recipe"
            raise SpaceError(self.where, f"no recipe at {at}, {error.rule}", error.got, remedy) from None
        check_names(recipe, self.where)


def _probes(space: SearchSpace) -> Iterator[tuple[dict[str, Value], str]]:
    """Yield params for both ends of every range and for every choice, and which value they are for.

    One value at a time is moved away from a base point, and the choices that it depends on are set so that it is
    searched at all. This finds every single value out of range, in a time that grows linearly with their number.
    """
    yield _point(space, {}), "the first value of every range and choice"
    for name, parameter in space.search.items():
        for value in parameter.probes:
            yield _point(space, _ancestors(space.search, name) | {name: value}), f"{name} = {value}"


def _point(space: SearchSpace, chosen: Mapping[str, Value]) -> dict[str, Value]:
    """Return params with the chosen values, and with the first value of every other name that is searched."""
    params: dict[str, Value] = {}
    for name, parameter in space.search.items():
        if space.is_active(name, params):
            params[name] = chosen.get(name, parameter.probes[0])
    return params


def _check_steps(space: SearchSpace) -> None:
    """Refuse a range whose end no step reaches. Only files are checked: an earlier study may have such a range."""
    for name, parameter in space.search.items():
        if isinstance(parameter, Range) and parameter.last != parameter.high:
            rule = f"'{name}': high must be reached from {parameter.low} in steps of {parameter.step}"
            last = f"Set high = {parameter.last}, or another step"
            remedy = last if parameter.last > parameter.low else "Set a smaller step"
            raise SpaceError(space.where, rule, parameter.high, remedy)


def weight_files(space: SearchSpace) -> dict[str, str]:
    """Return the files of weights that a study reads: the recipe name that each is a value of, by path."""
    values = [*space.defaults.items(), *space.fixed.items()]
    values += [(name, choice) for name, parameter in space.search.items() for choice in parameter.probes]
    files = {v: name for name, v in values if name.endswith(".weights") and isinstance(v, str)}
    measuring = (file for recipe in space.probes() for file in recipe.evaluation.files.values())
    return files | dict.fromkeys(measuring, "evaluation.pretrained")


def _ancestors(search: Mapping[str, Parameter], name: str) -> dict[str, Value]:
    """Choose a value for every choice that a name depends on, so that the name is searched."""
    chosen: dict[str, Value] = {}
    for other, values in search[name].when.items():
        chosen |= _ancestors(search, other) | {other: values[0]}
    return chosen
