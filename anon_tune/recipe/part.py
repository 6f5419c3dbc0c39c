"""What all parts of a recipe share: they are frozen and checked, and have flat names and a fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from anon_tune.errors import RecipeError
from anon_tune.schedule import Schedule

Positive = Annotated[int, Field(ge=1)]


class Part(BaseModel):
    """A part of a recipe: values, each with a default.

    A fingerprint covers the version and the values that differ from their defaults. So a new value with a neutral
    default changes no fingerprint.

    Attributes:
        version: Version of the defaults and their meaning. It rises whenever a default changes its value or its
            meaning. Earlier checkpoints and certificates then belong to another recipe.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    version: ClassVar[int] = 1

    def changes(self) -> dict[str, Any]:
        """Return the values that differ from their defaults, by flat dotted name."""
        usual = dict(flat_values(type(self)()))
        return {name: value for name, value in flat_values(self) if name not in usual or usual[name] != value}

    def fingerprint(self) -> str:
        """Return 16 hex digits that change with the version and with any value that differs from its default."""
        return digest({"version": self.version, "changes": self.changes()})


def split_names(names: object) -> object:
    """Accept a text such as ``frame,clip`` as a list of names."""
    return tuple(name.strip() for name in names.split(",")) if isinstance(names, str) else names


def once_each(what: str) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    """Return a validator that refuses names given twice; `what` is what they name, with its article."""

    def check(names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError(f"{what} may be named only once, got {', '.join(names)}")
        return names

    return check


def digest(document: Mapping[str, Any]) -> str:
    """Return 16 hex digits that do not depend on the order of a JSON document's keys."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def flat_values(part: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value by its flat dotted name, ready for JSON. A schedule is one value, a number if constant."""
    plain = part.model_dump(mode="json")
    for key, value in part:
        if isinstance(value, Schedule):
            fields = {name: field for name, field in plain[key].items() if field is not None}
            yield prefix + key, value.start if value.end is None else fields
        elif isinstance(value, BaseModel):
            yield from flat_values(value, f"{prefix}{key}.")
        elif isinstance(value, Mapping):
            yield from ((f"{prefix}{key}.{name}", item) for name, item in plain[key].items())
        else:
            yield prefix + key, plain[key]


def flat_names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield every flat dotted name of a model: a schedule has its own name and those of its fields."""
    for key, info in model.model_fields.items():
        kind = info.annotation
        if kind is Schedule:
            yield prefix + key
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from flat_names(kind, f"{prefix}{key}.")
        else:
            yield prefix + key


def refusal(error: ValidationError, where: str, remedy: str, prefix: str = "") -> RecipeError:
    """Turn the first error that pydantic found into one line; the prefix comes before the name of the value."""
    first = error.errors()[0]
    at = prefix + ".".join(str(p) for p in first["loc"]) if first["loc"] else ""
    got = first["input"] if at and not isinstance(first["input"], dict) else None
    rule = first["msg"].removeprefix("Value error, ")
    rule = rule[:1].lower() + rule[1:]
    return RecipeError(where, f"'{at}': {rule}" if at else rule, got, remedy)
