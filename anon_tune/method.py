"""Names of anonymizers: ``blur:4``, ``person-blur:4,detector=hog``, ``spact``; what each takes. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from anon_tune.errors import RecipeError, suggest


@dataclass(frozen=True, slots=True)
class Argument:
    """A value that a method takes.

    Attributes:
        name: As in ``name=value``; the first argument may be given by its value alone.
        default: Also tells its type: whole number, number or one of ``choices``.
        low: Smallest value.
        high: Largest value.
        choices: Of a text.
    """

    name: str
    default: float | int | str
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()


_DETECTOR = Argument("detector", "background", choices=("background", "hog"))

CLOSED_FORM: Mapping[str, tuple[Argument, ...]] = MappingProxyType(
    {
        "identity": (),
        "black-out": (),
        "negative": (),
        "downsample": (Argument("factor", 2, 2, 256),),
        "blur": (Argument("sigma", 2.0, 0.1, 256.0),),
        "pixelate": (Argument("size", 8, 2, 256),),
        "frame-difference": (Argument("gain", 3.0, 0.1, 100.0),),
        "person-black-out": (_DETECTOR,),
        "person-blur": (Argument("sigma", 4.0, 0.1, 256.0), _DETECTOR),
        "area-blur": (Argument("strength", 1.0, 0.01, 100.0), _DETECTOR),
        "area-pixelate": (Argument("strength", 1.0, 0.01, 100.0), _DETECTOR),
    }
)
"""Anonymizers that nobody trains, and what each takes."""

TRAINED: Mapping[str, Mapping[str, float | int | str | bool]] = MappingProxyType(
    {
        "adversarial": {},
        "penalty-pixels": {"penalty.on": "pixels", "penalty.detached": False},
        "penalty-features": {"penalty.on": "features", "penalty.detached": False},
        "penalty-detached": {"penalty.detached": True},
        "spact": {"privacy.head": "nt_xent", "penalty.weight": 0.0},
        "vita": {
            "privacy.head": "attributes",
            "privacy.target": "uniform",
            "privacy.num_branches": 4,
            "privacy.restart_steps": 50,
            "penalty.weight": 0.0,
        },
        "bdq": {"anonymizer.network": "bdq", "anonymizer.pretrain_steps": 0, "penalty.weight": 0.0},
    }
)
"""Anonymizers that the game trains, and the recipe values that make each what it is."""


@dataclass(frozen=True, slots=True)
class Method:
    """A parsed name: which anonymizer, with which values.

    Attributes:
        name: A key of `CLOSED_FORM` or `TRAINED`.
        values: Every argument of a closed-form one.
    """

    name: str
    values: Mapping[str, float | int | str] = field(default_factory=dict)

    @property
    def is_trained(self) -> bool:
        """True if the game trains it."""
        return self.name in TRAINED

    def sets(self, name: str) -> bool:
        """True for the flat dotted name of a recipe value, or a field of it, that makes the method what it is."""
        return any(name == own or name.startswith(f"{own}.") for own in TRAINED.get(self.name, {}))


def parse_method(text: str, where: str = "method") -> Method:
    """Parse ``name``, ``name:value`` or ``name:value,name=value``.

    Args:
        text: What a user writes.
        where: The file or option named in an error.

    Raises:
        RecipeError: Unknown name or argument, or a value out of range.

    Example:
        >>> parse_method("blur:4").values
        {'sigma': 4.0}
    """
    name, _, rest = text.partition(":")
    if name in TRAINED:
        if rest:
            raise RecipeError(where, f"'{name}' takes no values", text, "Set its recipe values by name")
        return Method(name)
    if name not in CLOSED_FORM:
        known = (*TRAINED, *CLOSED_FORM)
        raise RecipeError(where, f"unknown method '{name}'", remedy=suggest(name, known))
    arguments = {argument.name: argument for argument in CLOSED_FORM[name]}
    values: dict[str, float | int | str] = {argument.name: argument.default for argument in arguments.values()}
    for position, part in enumerate(rest.split(",") if rest else ()):
        key, equals, value = part.partition("=")
        if not equals:
            key, value = next(iter(arguments), "") if position == 0 else "", part
        if key not in arguments:
            rule = f"'{name}' takes {', '.join(arguments) or 'no values'}"
            raise RecipeError(where, rule, text, f"Write for example {example(name)}")
        values[key] = _value(arguments[key], value, where, name)
    return Method(name, values)


def example(name: str) -> str:
    """Return how a closed-form method is written with its defaults, as ``blur:2.0``."""
    first = next(iter(CLOSED_FORM[name]), None)
    if first is None:
        return name
    return f"{name}:{first.name}={first.default}" if first.choices else f"{name}:{first.default}"


def _value(argument: Argument, text: str, where: str, name: str) -> float | int | str:
    if argument.choices:
        if text not in argument.choices:
            rule = f"{argument.name} of '{name}' must be one of {', '.join(argument.choices)}"
            raise RecipeError(where, rule, text, suggest(text, argument.choices))
        return text
    whole = isinstance(argument.default, int)
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        value = math.nan
    if not argument.low <= value <= argument.high:
        what = "a whole number" if whole else "a number"
        rule = f"{argument.name} of '{name}' must be {what} from {argument.low:g} to {argument.high:g}"
        raise RecipeError(where, rule, text, f"Write for example {example(name)}")
    return value
