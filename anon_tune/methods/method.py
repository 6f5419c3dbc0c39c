"""Parses a method as a user writes it: ``blur:4``, ``person-blur:4,detector=hog``, ``spact``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from anon_tune.errors import AnonTuneError, RecipeError, suggest
from anon_tune.methods.spec import Argument, MethodSpec
from anon_tune.methods.table import find_spec


@dataclass(frozen=True, slots=True)
class Method:
    """A method with values for its arguments.

    Attributes:
        spec: The spec of the method.
        values: The value of every argument; empty for a trained method.
    """

    spec: MethodSpec
    values: Mapping[str, float | int | str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the method, without arguments."""
        return self.spec.name

    @property
    def is_trained(self) -> bool:
        """False for a closed-form method."""
        return self.spec.is_trained


def find(text: str, where: str = "method") -> Method:
    """Find the method that is written ``name``, ``name:value`` or ``name:value,name=value``.

    Args:
        text: The method as a user writes it.
        where: The file or option that it came from, for error messages.

    Raises:
        RecipeError: The name or an argument is unknown, or a value is out of range.
        UsageError: The package that adds the method cannot be loaded or breaks the contract.

    Example:
        >>> find("blur:4").values
        {'sigma': 4.0}
    """
    name, _, rest = text.partition(":")
    spec = find_spec(name, where)
    if spec.is_trained and rest:
        raise RecipeError(where, f"'{name}' takes no values", text, "Set its recipe values by name")
    if spec.arguments and spec.arguments[0].is_text:
        if not rest.strip():
            raise RecipeError(where, f"'{name}' needs a {spec.arguments[0].name}", text, f"Write it after '{name}:'")
        return Method(spec, {spec.arguments[0].name: rest})
    arguments = {argument.name: argument for argument in spec.arguments}
    values: dict[str, float | int | str] = {argument.name: argument.default for argument in spec.arguments}
    for position, part in enumerate(rest.split(",") if rest else ()):
        key, equals, value = part.partition("=")
        if not equals:
            key, value = next(iter(arguments), "") if position == 0 else "", part
        if key not in arguments:
            rule = f"'{name}' takes {', '.join(arguments) or 'no values'}"
            raise RecipeError(where, rule, text, f"Write for example {spec.example}")
        values[key] = _value(arguments[key], value, where, spec)
    return Method(spec, values)


def is_trained(text: str) -> bool:
    """True for a trained method, False for a closed-form one; the method is written as for `find`."""
    return find_spec(text.partition(":")[0]).is_trained


def release_of(text: str) -> str:
    """Return what differential privacy a video of a method keeps, with its unit; empty if none, or it is unknown."""
    try:
        method = find(text)
    except AnonTuneError:  # a study may name a method of a package that is not installed here
        return ""
    return "" if method.spec.release is None else method.spec.release(method.values)


def _value(argument: Argument, text: str, where: str, spec: MethodSpec) -> float | int | str:
    if argument.choices:
        if text not in argument.choices:
            rule = f"{argument.name} of '{spec.name}' must be one of {', '.join(argument.choices)}"
            raise RecipeError(where, rule, text, suggest(text, argument.choices))
        return text
    whole = isinstance(argument.default, int)
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        value = math.nan
    if not argument.low <= value <= argument.high:
        what = "a whole number" if whole else "a number"
        rule = f"{argument.name} of '{spec.name}' must be {what} from {argument.low:g} to {argument.high:g}"
        raise RecipeError(where, rule, text, f"Write for example {spec.example}")
    return value
