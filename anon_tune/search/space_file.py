"""Reads search-space files: merges the files that they extend and the overrides, and checks names and conditions."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from anon_tune.errors import RecipeError, SpaceError, suggest
from anon_tune.methods import check_name, find
from anon_tune.recipe.old_names import with_new_names
from anon_tune.search.method_use import check_methods, has_place, with_conditions
from anon_tune.search.parameters import Choices, Parameter, Range, StudyDefaults

_TABLES = ("extends", "fixed", "search", "first", "study")
_LENGTHS = ("training.num_steps", "training.num_epochs")
_Model = TypeVar("_Model", bound=BaseModel)


def read_tables(path: Path, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Read a search-space file and the files that it extends, then replace values by the overrides.

    Args:
        path: The file.
        overrides: Values by recipe name.

    Returns:
        The tables ``fixed``, ``search``, ``first`` and ``study``, the first three with flat dotted names.

    Raises:
        SpaceError: A file cannot be read, is not TOML, extends itself, or has an unknown name.
    """
    tables = _read(path, ())
    if overrides:
        overrides = with_new_names(overrides, "--set")
        _check_names("--set", overrides)
        tables = _merge(tables, {"fixed": dict(overrides), "search": {}, "first": [], "study": {}})
    return tables


def space_files(path: Path) -> list[Path]:
    """Return a search-space file and the files that it extends, the given file first.

    Raises:
        SpaceError: As `read_tables`.
    """
    read_tables(path, {})  # raises if the files extend each other in a circle, or break another rule
    files = [path]
    while parent := tomllib.loads(files[-1].read_text(encoding="utf-8")).get("extends"):
        files.append(files[-1].parent / parent)
    return files


def parse_tables(tables: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Turn merged tables into the fields of a `SearchSpace`. A name comes after the names that it depends on.

    Raises:
        SpaceError: The tables break a rule.
    """
    fixed, specs = with_new_names(tables.get("fixed", {}), where), tables.get("search", {})
    _check_names(where, [*fixed, *specs])
    both = sorted(set(fixed) & set(specs))
    if both:
        raise SpaceError(where, f"'{both[0]}' is both fixed and searched", remedy="Keep one of the two")
    search = _resolve_fixed({name: _parameter(name, spec, where) for name, spec in specs.items()}, fixed, where)
    if not search:
        raise SpaceError(where, "nothing is searched", remedy="Add a range or choices under [search]")
    check_methods(search, fixed, where)
    if "defaults" not in tables:  # tables stored by a study have the conditions that it began with already
        search = with_conditions(search, fixed, where)
    study = validate(StudyDefaults, tables.get("study", {}), f"{where}: [study]")
    gone = set(specs) - set(search)
    first = [{n: v for n, v in point.items() if n not in gone} for point in tables.get("first", ())]
    parsed = {"where": where, "fixed": fixed, "search": _ordered(search, where), "first": first, "study": study}
    return parsed | ({"defaults": tables["defaults"]} if "defaults" in tables else {})


def frozen_tables(tables: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Turn the tables of a frozen study into the fields of a `SearchSpace`, as they stand: no name is looked up."""
    specs = tables.get("search", {})
    search = _ordered({name: _parameter(name, spec, where) for name, spec in specs.items()}, where)
    study = validate(StudyDefaults, tables.get("study", {}), f"{where}: [study]")
    kept = {name: tables[name] for name in ("fixed", "first", "defaults") if name in tables}
    return kept | {"where": where, "search": search, "study": study}


def _read(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    where = str(path)
    if path.resolve() in seen:
        raise SpaceError(where, "'extends' leads back to the file itself", remedy="Remove 'extends' from one file")
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        remedy = "Give the path of a search space"
        raise SpaceError(where, "cannot be read", remedy=remedy, cause=error.strerror) from None
    except UnicodeDecodeError as error:
        raise SpaceError(
            where, "must be text in UTF-8", f"byte {error.object[error.start]:#04x}", "Save it again"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise SpaceError(where, "is not valid TOML", cause=str(error)) from None
    for key in raw:
        if key not in _TABLES:
            raise SpaceError(where, f"unknown table '{key}'", remedy=suggest(key, _TABLES))
    for key, kind in (("extends", str), ("fixed", dict), ("search", dict), ("study", dict), ("first", list)):
        if not isinstance(raw.get(key, kind()), kind):
            raise SpaceError(where, f"'{key}' must be {_KINDS[kind]}", raw[key])
    for point in raw.get("first", []):
        if not isinstance(point, dict):
            raise SpaceError(where, "'first' must be an array of tables", point, "Write each point under [[first]]")
    tables = {
        "fixed": with_new_names(_flatten(raw.get("fixed", {})), where),
        "search": _flatten(raw.get("search", {})),
        "first": [_flatten(point) for point in raw.get("first", [])],
        "study": raw.get("study", {}),
    }
    _check_names(where, [*tables["fixed"], *tables["search"]])
    both = sorted(set(tables["fixed"]) & set(tables["search"]))
    if both:
        raise SpaceError(where, f"'{both[0]}' is both fixed and searched", remedy="Keep one of the two")
    if "extends" not in raw:
        return tables
    parent = _read(path.parent / raw["extends"], (*seen, path.resolve()))
    return _merge(parent, tables)


_KINDS = {str: "the name of a file", dict: "a table", list: "an array of tables, [[first]]"}


def _merge(parent: Mapping[str, Any], child: Mapping[str, Any]) -> dict[str, Any]:
    """Merge the tables of a file into those of the file that it extends.

    A name in the child hides the same name in the parent, the fields of that name, and the value that it is a field
    of. A number of steps hides a number of epochs, and the other way round. A method that the child fixes hides the
    names that this method sets itself or does not use.
    """
    given = {*child["fixed"], *child["search"]}
    method = child["fixed"].get("method")

    if given & set(_LENGTHS):
        given |= set(_LENGTHS)

    def hidden(name: str, table: str) -> bool:
        if any(n == name or n.startswith(name + ".") or name.startswith(n + ".") for n in given):
            return True
        return method is not None and not _fits(name, str(method), table)

    merged = {k: {n: v for n, v in parent[k].items() if not hidden(n, k)} | child[k] for k in ("fixed", "search")}
    still = [{n: v for n, v in point.items() if n in merged["search"]} for point in parent["first"]]
    first = child["first"] or [point for point in still if point]
    return {**merged, "first": first, "study": parent["study"] | child["study"]}


def _fits(name: str, method: str, table: str) -> bool:
    """True if a name can stay in a table beside a method: if fixed, a recipe may set it; if searched, it is used."""
    try:
        chosen = find(method)
    except RecipeError:  # raised again with the name of the file, once all files are read
        return True
    return has_place(name, method) if table == "fixed" else chosen.spec.has_use(name)


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Join nested TOML tables into dotted names. A table with ``low``, ``high`` or ``choices`` is not taken apart."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and not {"low", "high", "choices"} & set(value):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _check_names(where: str, names: Iterable[str]) -> None:
    for name in names:
        try:
            check_name(name, where)
        except RecipeError as error:
            raise SpaceError(where, error.rule, remedy=error.remedy) from None


def _parameter(name: str, spec: object, where: str) -> Parameter:
    if not isinstance(spec, Mapping):
        raise SpaceError(where, f"'{name}' needs low and high, or choices", spec, "A single value goes under [fixed]")
    kind: type[Parameter] = Choices if "choices" in spec else Range
    values = dict(spec)
    if isinstance(values.get("when"), Mapping):
        values["when"] = _flatten(values["when"])
    return validate(kind, values, f"{where}: '{name}'")


def _resolve_fixed(search: Mapping[str, Parameter], fixed: Mapping[str, Any], where: str) -> dict[str, Parameter]:
    """Remove conditions on fixed names. If such a condition does not hold, the parameter is removed instead."""
    kept = dict(search)
    changed = True
    while changed:  # a removed parameter takes those that depend on it along
        changed = False
        for name, parameter in list(kept.items()):
            when = dict(parameter.when)
            for other, values in parameter.when.items():
                if other in fixed and fixed[other] in values:
                    del when[other]
                elif other in fixed or (other in search and other not in kept):
                    del kept[name]
                    changed = True
                    break
                else:
                    _check_condition(name, other, values, search, where)
            if name in kept and len(when) < len(parameter.when):
                kept[name] = parameter.model_copy(update={"when": when})
    return kept


def _check_condition(
    name: str, other: str, values: tuple[Any, ...], search: Mapping[str, Parameter], where: str
) -> None:
    if other not in search:
        raise SpaceError(where, f"'{name}' depends on '{other}', which is not searched", remedy=suggest(other, search))
    choices = search[other]
    if not isinstance(choices, Choices):
        raise SpaceError(where, f"'{name}' depends on '{other}', which has a range", remedy="Depend on choices only")
    for value in values:
        if not choices.accepts(value):
            raise SpaceError(where, f"'{name}' depends on a value that '{other}' never has", value)
    if not values:
        raise SpaceError(where, f"'{name}' depends on no value of '{other}'", remedy="Name at least one")


def _ordered(search: Mapping[str, Parameter], where: str) -> dict[str, Parameter]:
    graph = {name: list(parameter.when) for name, parameter in search.items()}
    try:
        return {name: search[name] for name in TopologicalSorter(graph).static_order()}
    except CycleError as error:
        remedy = "Remove one of these conditions"
        raise SpaceError(where, "conditions go in a circle", " -> ".join(error.args[1]), remedy) from None


def validate(model: type[_Model], values: Mapping[str, Any], where: str) -> _Model:
    """Build a model from values.

    Raises:
        SpaceError: The values break a rule of the model; the error names the first one.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        loc = [str(part) for part in first["loc"] if str(part) in model.model_fields or not _is_branch(str(part))]
        at = ".".join(loc)
        if first["type"] == "extra_forbidden":
            remedy = suggest(loc[-1], model.model_fields)
            raise SpaceError(where, f"unknown key '{at}'", remedy=remedy) from None
        if first["type"] == "missing":
            raise SpaceError(where, f"'{at}' is missing", remedy="Add it") from None
        rule = first["msg"].removeprefix("Value error, ")
        got = first["input"] if at else None
        raise SpaceError(where, f"'{at}': {rule[:1].lower()}{rule[1:]}" if at else rule, got) from None


def _is_branch(part: str) -> bool:
    """True for a name that pydantic gives to a branch of a union in the location of an error."""
    return part in ("int", "float", "str", "bool") or "[" in part or part in ("Rungs", "Range", "Choices")
