"""The table of attackers."""

from __future__ import annotations

from collections.abc import Iterable

from anon_tune.attackers import bands, clip, descriptors, frame, motion, pixels, token_mask, wiener
from anon_tune.attackers.spec import AttackerSpec
from anon_tune.entry_points import Table

ATTACKERS: Table[AttackerSpec] = Table(
    what="attacker",
    group="anon_tune.attackers",
    kind=AttackerSpec,
    ours={
        "frame": frame.SPEC,
        "clip": clip.SPEC,
        "motion": motion.SPEC,
        "pixels": pixels.SPEC,
        "descriptors": descriptors.SPEC,
        "low-band": bands.LOW,
        "high-band": bands.HIGH,
        "token-mask": token_mask.SPEC,
        **wiener.SPECS,
    },
)


def find(name: str, where: str = "attackers") -> AttackerSpec:
    """Return the spec of an attacker.

    Args:
        name: The name, as a user writes it.
        where: The file or option named in an error.

    Raises:
        RecipeError: No attacker has this name.
        UsageError: The package that adds it cannot be loaded or breaks the contract.
    """
    return ATTACKERS.find(name, where)


def check_attackers(names: Iterable[str], where: str) -> None:
    """Check that every name is that of an attacker.

    Raises:
        RecipeError, UsageError: As `find`.
    """
    for name in names:
        find(name, where)


def specs_of(
    named: Iterable[str], extra: Iterable[str | AttackerSpec] = (), where: str = "attackers"
) -> tuple[AttackerSpec, ...]:
    """Return the attackers that a recipe names and those that a method adds, each once, in this order.

    Raises:
        RecipeError, UsageError: As `find`.
    """
    found = [one if isinstance(one, AttackerSpec) else find(one, where) for one in (*named, *extra)]
    return tuple({spec.name: spec for spec in reversed(found)}[name] for name in dict.fromkeys(s.name for s in found))
