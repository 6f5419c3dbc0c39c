"""How ``--help`` looks: no Python types, and no option name that is too wide for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption


class Command(TyperCommand):
    """A command whose help a stranger can read."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options and arguments."""
        return _without_types(super().get_params(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help; nothing is parsed afterwards."""
        _name_opposites(self.params)
        super().format_help(ctx, formatter)


class Group(TyperGroup):
    """A group of commands whose help a stranger can read."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options."""
        return _without_types(super().get_params(ctx))


def _without_types(params: list[Any]) -> list[Any]:
    """Keep typer from printing ``<bool>`` beside a flag, or ``<list[Path]>`` beside an argument that has a name."""
    for param in params:
        if isinstance(param, TyperArgument) or (isinstance(param, TyperOption) and param.is_flag):
            param.display_type_rich = _no_type  # type: ignore[method-assign]
    return params


def _no_type(ctx: Any) -> None:
    return None


def _name_opposites(params: Sequence[Any]) -> None:
    """Name ``--no-x`` in the help text of ``--x``. Typer gives it a column of its own, where a long name is cut off."""
    for param in params:
        if isinstance(param, TyperOption) and param.is_flag and param.secondary_opts:
            (opposite,), param.secondary_opts = param.secondary_opts, []
            said = f"This is the default; {opposite} turns it off." if param.default else f"Default: {opposite}."
            param.help, param.show_default = f"{param.help} {said}", False
