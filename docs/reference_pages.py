"""Writes the pages of reference from the code: commands, recipe names, methods, search spaces."""

from __future__ import annotations

import math
import re
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from anon_tune.attackers.table import ATTACKERS
from anon_tune.cli import app
from anon_tune.methods import MethodSpec, specs
from anon_tune.networks.table import NETWORKS
from anon_tune.recipe import Recipe
from anon_tune.recipe.measuring import AuditRecipe
from anon_tune.schedule import Schedule
from anon_tune.search.shipped import shipped_spaces


def commands() -> str:
    """Return a section for every command, with its arguments and options."""
    return "\n\n".join(_command("anon-tune", typer.main.get_command(app)))


def _command(name: str, command: Any) -> Iterator[str]:
    if hasattr(command, "commands"):
        for word, one in sorted(command.commands.items()):
            yield from _command(f"{name} {word}", one)
        return
    params = [param for param in command.params if param.name != "help" and not getattr(param, "hidden", False)]
    rows = [(_usage(param), _default(param), _sentence(param.help or "")) for param in params]
    more = "It also takes the options of `anon-tune study`." if name == "anon-tune submit" else ""
    words = [_example(text) for text in (command.help or "").split("\n\n")]
    yield _section(name, *words, more, _table(("option", "default", "meaning"), rows))


def _example(text: str) -> str:
    """Return a paragraph of help; one that is a command becomes code."""
    text = " ".join(text.split())
    return (
        f"```\n{text.replace(' anon-tune ', f'{chr(10)}anon-tune ')}\n```"
        if text.startswith("anon-tune ")
        else _plain(text)
    )


def _section(title: str, *paragraphs: str) -> str:
    return "\n\n".join([f"## {title}", *filter(None, paragraphs)])


def _usage(param: Any) -> str:
    if param.param_type_name == "argument":
        return f"`{param.metavar or param.name.upper()}`"
    names = ", ".join([*param.opts, *param.secondary_opts])
    value = "" if param.is_flag else f" {param.metavar or param.type.name.upper()}"
    return f"`{names}{value}`"


def _default(param: Any) -> str:
    if param.required:
        return "required"
    default = param.default
    if default in (None, False, "") or callable(default) or not str(default).strip("()[]"):
        return ""
    return f"`{getattr(default, 'value', default)}`" if default is not True else "on"


def recipe() -> str:
    """Return tables of every recipe name, part by part, and of the effort of an audit."""
    titles = {"evaluation": "No search space may vary any of these. Rungs and full scores have an effort each."}
    parts = []
    for key, info in Recipe.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel) and key != "section":
            words = _plain(info.annotation.__doc__ or "")
            parts.append(_section(key, words, titles.get(key, ""), _names(info.annotation, info.default, f"{key}.")))
    for spec in specs():
        if spec.section is not None:
            words = f"Values of the method `{spec.name}`."
            parts.append(_section(spec.name, words, _names(spec.section, spec.section(), f"{spec.name}.")))
    schedule = _plain((Schedule.__doc__ or "").partition("\n\n")[0])
    parts.append(_section("Schedules", schedule, _FORMULAS, _names(Schedule, None, "NAME.")))
    audit = "Set with `--set NAME=VALUE` of `anon-tune audit` and `anon-tune certify`."
    parts.append(_section("Effort of an audit", audit, _names(AuditRecipe, AuditRecipe(), "")))
    return "\n\n".join(parts)


_FORMULAS = """With `t = step / num_steps` in [0, 1], `a = start` and `b = end`:

| kind | value |
| --- | --- |
| `constant` | `a` |
| `linear` | `a + (b - a) t` |
| `cosine` | `a + (b - a) (1 - cos(pi t)) / 2` |
| `staircase` | `a + (b - a) min(floor(t k), k - 1) / (k - 1)` with `k = num_stairs` |"""


def _names(model: type[BaseModel], default: BaseModel | None, prefix: str) -> str:
    return _table(("name", "default", "values", "meaning"), list(_rows(model, default, prefix)))


def _rows(model: type[BaseModel], default: BaseModel | None, prefix: str) -> Iterator[Sequence[str]]:
    for key, info in model.model_fields.items():
        kind, value = info.annotation, getattr(default, key, None)
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind is not Schedule:
            yield from _rows(kind, value, f"{prefix}{key}.")
            continue
        plain = value.start if isinstance(value, Schedule) and value.end is None else value
        shown = ",".join(map(str, plain)) if isinstance(plain, tuple) else plain
        known = "" if shown in (None, "") else f"`{shown}`"
        yield f"`{prefix}{key}`", known, _values(kind, info), _sentence(info.description or "")


def _values(kind: Any, info: FieldInfo) -> str:
    """Return the type and the range of a value in words."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        inner = [one for one in typing.get_args(kind) if one is not type(None)]
        return f"{_values(inner[0], info)}, or none"
    if origin is typing.Annotated:
        kind, *metadata = typing.get_args(kind)
        joined = FieldInfo.merge_field_infos(info)
        joined.metadata = [*info.metadata, *(part for one in metadata for part in getattr(one, "metadata", [one]))]
        return _values(kind, joined)
    if origin is typing.Literal:
        return ", ".join(f"`{one}`" for one in typing.get_args(kind) if one != "")
    words = {bool: "true, false", int: "whole number", float: "number", str: "text", Schedule: "number or schedule"}
    return " ".join(filter(None, [words.get(kind, "names" if origin is tuple else "text"), _range(info)]))


def _range(info: FieldInfo) -> str:
    limits = {name: getattr(one, name) for one in info.metadata for name in _SIGNS if hasattr(one, name)}
    return ", ".join(f"{sign} {limits[name]:g}" for name, sign in _SIGNS.items() if limits.get(name) is not None)


_SIGNS = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most", "multiple_of": "multiple of"}


def methods() -> str:
    """Return tables of methods, attackers and networks."""
    trained = [(f"`{s.name}`", _sentence(s.summary), _changes(s), _plain(s.source)) for s in specs() if s.is_trained]
    closed = [
        (f"`{s.name}`", _sentence(s.summary), _arguments(s), _plain(s.source)) for s in specs() if not s.is_trained
    ]
    attackers = [(f"`{s.name}`", _sentence(s.summary), _plain(s.source)) for s in ATTACKERS.ours.values()]
    networks = [(f"`{s.name}`", ", ".join(s.kinds), _sentence(s.summary)) for s in NETWORKS.ours.values()]
    return "\n\n".join(
        [
            _section("Trained methods", _table(("name", "what it does", "fixed values", "source"), trained)),
            _section("Closed-form methods", _table(("name", "what it does", "arguments", "source"), closed)),
            _section("Attackers", _table(("name", "what it looks at", "source"), attackers)),
            _section("Networks", _table(("name", "used as", "what it is"), networks)),
        ]
    )


def _changes(spec: MethodSpec) -> str:
    return "<br>".join(f"`{name}` = `{value}`" for name, value in spec.fixes.items())


def _arguments(spec: MethodSpec) -> str:
    found = []
    for one in spec.arguments:
        span = ", ".join(f"`{choice}`" for choice in one.choices)
        if not one.choices and math.isfinite(one.low):
            span = (
                f"{one.low:g} to {one.high:g} {one.unit}".strip() if math.isfinite(one.high) else f"{one.low:g} or more"
            )
        found.append(f"`{one.name}`: {span}; default `{one.default}`")
    return "<br>".join(found)


def spaces() -> str:
    """Return every search space that comes with the package."""
    parts = []
    for name, path in sorted(shipped_spaces()):
        text = path.read_text("utf-8").strip()
        parts.append(f"## {name}\n\n```toml\n{text}\n```")
    return "\n\n".join(parts)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    kept = [at for at in range(len(heads)) if any(row[at] for row in rows)]
    lines = [[heads[at] for at in kept], ["---"] * len(kept)]
    lines += [[row[at].replace("|", "\\|").replace("\n", " ") for at in kept] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _sentence(text: str) -> str:
    """Return a description with a capital and a full stop."""
    text = _plain(text)
    return text[:1].upper() + text[1:].rstrip(".") + "." if text else ""


def _plain(text: str) -> str:
    """Return a docstring as one paragraph of Markdown."""
    text = re.sub(r"``(.+?)``", r"`\1`", " ".join(text.split()))
    return re.sub(r"<(?=\w)", "&lt;", text)


GENERATED: dict[str, Callable[[], str]] = {
    "commands": commands,
    "recipe": recipe,
    "methods": methods,
    "shipped-spaces": spaces,
}
"""The generated parts of pages, by the name in their mark ``<!-- generated: NAME -->``."""
