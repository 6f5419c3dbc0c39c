"""Finds out which recipe names each method uses, so that a name is searched only for methods that use it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anon_tune.errors import RecipeError, SpaceError
from anon_tune.methods import find, method_of
from anon_tune.recipe import is_measured_by
from anon_tune.search.parameters import Choices, Parameter
from anon_tune.trial import ANCHORS

DEFAULT = "adversarial"


def methods_of(search: Mapping[str, Parameter], fixed: Mapping[str, Any], name: str = "method") -> tuple[str, ...]:
    """Return the methods that trials of a study can have.

    Args:
        search: What is searched.
        fixed: Recipe names with one value in every trial.
        name: A searched name other than ``method``: only methods under which this name is searched are returned.
    """
    searched = search.get("method")
    if searched is None:
        return (str(fixed.get("method", DEFAULT)),)
    when = search[name].when
    kept = {str(m) for m in when.get("method", searched.probes)}
    kept = kept.intersection(*(methods_of(search, fixed, other) for other in when if other != "method"))
    return tuple(m for m in map(str, searched.probes) if m in kept)


def check_methods(search: Mapping[str, Parameter], fixed: Mapping[str, Any], where: str) -> None:
    """Check the methods of a study and the recipe sections of methods.

    Raises:
        SpaceError: A method is unknown, is an anchor or is given twice, or a name belongs to a method that is not
            chosen.
        UsageError: The package that adds a method is broken.
    """
    searched = search.get("method")
    if searched is not None and (not isinstance(searched, Choices) or searched.when):
        raise SpaceError(where, "'method' needs choices, without 'when'", remedy="List names of methods")
    known: dict[tuple[str, tuple[Any, ...]], str] = {}
    for name in methods_of(search, fixed):
        try:
            method = find(name, where)
        except RecipeError as error:
            raise SpaceError(f"{where}: 'method'", error.rule, error.got, error.remedy) from None
        if method.name in ANCHORS:
            rule = f"'{name}' is an anchor, which every study measures anyway"
            raise SpaceError(where, rule, remedy="Leave it out")
        other = known.setdefault((method.name, tuple(method.values.items())), name)
        if other != name:
            raise SpaceError(where, f"'{other}' and '{name}' are the same method", remedy="Keep one of the two")
    chosen = {name for name, _ in known}
    for name in (*fixed, *search):
        if method_of(name) not in (None, *chosen):
            rule = f"'{name}' belongs to the method '{method_of(name)}', which is not chosen"
            raise SpaceError(where, rule, remedy="Leave it out, or choose that method")


def with_conditions(search: Mapping[str, Parameter], fixed: Mapping[str, Any], where: str) -> dict[str, Parameter]:
    """Search each name only for the methods that use it, by a condition on ``method`` where some methods do not.

    Raises:
        SpaceError: No method of the study uses a name.
    """
    conditioned = dict(search)
    for name, parameter in search.items():
        if name == "method" or is_measured_by(name):
            continue
        methods = methods_of(search, fixed, name)
        users = tuple(m for m in methods if find(m).spec.has_use(name))
        if not users:
            rule = f"'{name}' is searched, but is not used by the method {' or '.join(repr(m) for m in methods)}"
            raise SpaceError(where, rule, remedy="Remove it")
        if users != methods:
            conditioned[name] = parameter.model_copy(update={"when": {**parameter.when, "method": users}})
    return conditioned


def has_place(name: str, method: str) -> bool:
    """True if a recipe may set this name for a method: the method does not set it, and no other method owns it."""
    spec = find(method).spec
    return method_of(name) in (None, spec.name) and not spec.owns(name)
