"""Old names of recipe values. They are still accepted, and one line on standard error names the new ones."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from typing import Any

OLD_NAMES: Mapping[str, str] = {
    "evaluation.rung.num_attackers": "evaluation.rung.attackers",
    "evaluation.full.num_attackers": "evaluation.full.attackers",
    "families": "attackers",
}
"""The old name and the new one; the last pair belongs to an audit."""


def with_new_names(params: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the values by flat name with old names replaced; tell the user once per name and place.

    If an old name and its new name are both given, the new one counts.
    """
    kept = {name: value for name, value in params.items() if name not in OLD_NAMES}
    for old in params.keys() & OLD_NAMES.keys():
        _say(where, old, OLD_NAMES[old])
        value = params[old]
        kept.setdefault(OLD_NAMES[old], first_attackers(value) if old.endswith("num_attackers") else value)
    return kept


def first_attackers(number: Any) -> Any:
    """Return the attackers that a former ``num_attackers`` stood for; any other value as it is, to be refused later."""
    known = not isinstance(number, bool) and number in (1, 2, 3)
    return ("frame", "clip", "motion")[: int(number)] if known else number


@functools.cache
def _say(where: str, old: str, new: str) -> None:
    example = "frame,clip,motion"
    print(f"{where}: '{old}' is now called '{new}', a list of names such as {example}.", file=sys.stderr)
