"""Parses options of the form ``name=value``, such as ``--set``."""

from __future__ import annotations

import tomllib
from typing import Any

from anon_tune.errors import UsageError


def named(option: str, texts: list[str] | None) -> dict[str, Any]:
    """Parse every value of a repeated option of the form ``name=value``."""
    return dict(parse_setting(text, option) for text in texts or ())


def parse_setting(text: str, option: str = "--set") -> tuple[str, Any]:
    """Parse ``name=value``. The value is read as TOML if it is valid TOML, and is a string otherwise."""
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        example = {"--set": "penalty.weight=2", "--stop": "seconds=3600"}.get(option, "leakage_at_most=0.8")
        raise UsageError(option, "must be name=value", text, f"Write for example {option} {example}")
    try:
        return name.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name.strip(), value.strip()
