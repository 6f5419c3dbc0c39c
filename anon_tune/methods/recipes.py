"""Makes a recipe, with the section of its method, from flat dotted names or from a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, get_origin

from pydantic import ValidationError

from anon_tune.errors import DataError, RecipeError, suggest
from anon_tune.methods.method import find
from anon_tune.methods.spec import MethodSpec
from anon_tune.methods.table import METHODS, find_spec, names
from anon_tune.recipe import Part, Recipe, flat_names, flat_values, nest, refusal
from anon_tune.recipe import recipe_names as shared_names
from anon_tune.recipe.old_names import with_new_names

_LENGTHS = {"training.num_steps", "training.num_epochs"}
_REMEDY = "Change it in the file or with --set"


def make_recipe(params: Mapping[str, Any], where: str = "recipe", defaults: Mapping[str, Any] | None = None) -> Recipe:
    """Build a recipe from flat dotted names. Values that are not named keep their defaults.

    A schedule is given as a number (``penalty.weight``) or by its fields (``penalty.weight.kind``). A value in the
    method's own section is named ``<method>.<field>``.

    Args:
        params: Values by flat dotted name.
        where: The file or option that they came from, for error messages.
        defaults: Defaults as `defaults_of` returned them, perhaps in an earlier version; None for those of this
            version.

    Raises:
        RecipeError: A name is unknown or belongs to another method, a value is out of range, or the method sets it
            itself.
        UsageError: The package that adds the method is broken.

    Example:
        >>> make_recipe({"penalty.weight": 2.0}).penalty.weight.start
        2.0
    """
    params = with_new_names(params, where)
    spec = find(str(params.get("method", "adversarial")), f"{where}: method").spec
    defaults = defaults_of([spec.name]) if defaults is None else defaults
    if params.keys() >= _LENGTHS:
        rule = "'training.num_epochs' and 'training.num_steps' cannot both be set"
        raise RecipeError(where, rule, remedy="Leave one of them out")
    for name in params:
        check_name(name, where)
        _check_place(name, params[name], spec, where)
    own = {name: value for name, value in params.items() if _part(name) == spec.name}
    section = _section(spec, _laid_over(defaults, own, f"{spec.name}."), where)
    shared = {name: value for name, value in params.items() if name not in own} | dict(spec.fixes)
    shared |= {name: getattr(section, key) for name, key in spec.sets.items()}
    known = {name: value for name, value in defaults.items() if name in shared_names()}
    tree = nest(_laid_over(known, shared), where)
    try:
        return Recipe.model_validate(tree | {"section": section})
    except ValidationError as error:
        raise refusal(error, where, _REMEDY) from None


def read_recipe(document: str | Mapping[str, Any] | None, where: str = "recipe") -> Recipe:
    """Read a recipe back from JSON or from parsed JSON.

    Args:
        document: What ``Recipe.model_dump_json`` or ``Recipe.model_dump`` returned. None, which stands for a file
            without a recipe, is an error.
        where: The file that it came from, for error messages.

    Raises:
        DataError: The document is no recipe.
        RecipeError: No installed package has the method.
        UsageError: The package that adds the method is broken.
    """
    rule, remedy = "holds no recipe of an anonymizer", "Choose another file"
    if document is None:
        raise DataError(where, rule, remedy=remedy)
    try:
        tree = dict(json.loads(document) if isinstance(document, str) else document)
        spec = find(str(tree["method"]), where).spec
        given = tree.pop("section", None) or {}
        section = spec.section.model_validate(given) if spec.section else None
        if given and section is None:
            raise DataError(where, f"the method '{spec.name}' has no values of its own", str(given), remedy)
        return Recipe.model_validate(tree | {"section": section})
    except (KeyError, TypeError, ValueError) as error:  # pydantic's and JSON's errors are ValueErrors
        cause = f"no {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]
        raise DataError(where, rule, remedy=remedy, cause=cause) from None


def recipe_names() -> frozenset[str]:
    """Return every flat dotted name that a recipe of our methods takes, those of their sections among them."""
    return shared_names().union(*(_section_names(find_spec(name)) for name in METHODS.ours))


def check_name(name: str, where: str) -> None:
    """Check that some recipe takes a flat dotted name.

    Raises:
        RecipeError: The name is unknown.
        UsageError: The package that adds its method is broken.
    """
    if name in shared_names():
        return
    of = _part(name)
    known = _section_names(find_spec(of)) if "." in name and of in names() else frozenset()
    if name not in known and name.rpartition(".")[0] not in _open_names(of):
        raise RecipeError(where, f"unknown name '{name}'", remedy=_remedy(name, known))


def _remedy(name: str, known: frozenset[str]) -> str:
    of, dot, _ = name.partition(".")
    parts = {_part(known) for known in shared_names()}.union(names())
    if dot and not get_close_matches(of, parts):
        return f"If a package adds the method '{of}', install it, or bring it with --package"
    return suggest(name, known or recipe_names())


def method_of(name: str) -> str | None:
    """Return the method in whose section a flat dotted name is; None for a name of the shared recipe."""
    return None if name in shared_names() else _part(name)


def defaults_of(methods: Iterable[str]) -> dict[str, Any]:
    """Return this version's defaults of all values that recipes of these methods take, by flat dotted name.

    Values whose default is None are left out.
    """
    found = dict(flat_values(Recipe()))
    for text in methods:
        spec = find_spec(text.partition(":")[0])
        found |= flat_values(spec.section(), f"{spec.name}.") if spec.section else ()
    return {name: value for name, value in found.items() if value is not None and name != "method"}


def _check_place(name: str, value: object, spec: MethodSpec, where: str) -> None:
    """Refuse a value in the section of another method, and a value that the method sets itself."""
    other = method_of(name)
    if other not in (None, spec.name):
        remedy = f"Leave it out, or choose the method '{other}'"
        raise RecipeError(where, f"'{name}' needs the method '{other}'", f"the method '{spec.name}'", remedy)
    if spec.owns(name):
        key = next((f"{spec.name}.{key}" for own, key in spec.sets.items() if name.startswith(own)), None)
        remedy = f"Set '{key}' instead" if key else "Leave it out, or choose the method 'adversarial'"
        raise RecipeError(where, f"'{name}' is set by the method '{spec.name}'", value, remedy)


def _section(spec: MethodSpec, values: Mapping[str, Any], where: str) -> Part | None:
    if spec.section is None:
        return None
    fields = {name.removeprefix(f"{spec.name}."): value for name, value in values.items()}
    try:
        return spec.section.model_validate(nest(fields, where))
    except ValidationError as error:
        raise refusal(error, where, _REMEDY, f"{spec.name}.") from None


def _section_names(spec: MethodSpec) -> frozenset[str]:
    return frozenset(flat_names(spec.section, f"{spec.name}.") if spec.section else ())


def _open_names(method: str) -> frozenset[str]:
    """Return the names of a method's section below which any name may stand, because their values are mappings."""
    section = find_spec(method).section if method in names() else None
    fields = section.model_fields.items() if section is not None else ()
    return frozenset(f"{method}.{key}" for key, info in fields if get_origin(info.annotation) is dict)


def _laid_over(defaults: Mapping[str, Any], values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the defaults under a prefix, replaced by values. A field of a schedule replaces the whole schedule."""
    hidden = {name.rpartition(".")[0] for name in values} | values.keys()
    kept = {name: value for name, value in defaults.items() if name.startswith(prefix) and name not in hidden}
    return kept | dict(values)


def _part(name: str) -> str:
    return name.partition(".")[0]
