"""Tables of specs by name: ours in a literal mapping, others through the entry points of installed packages."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, Protocol, TypeVar

from anon_tune.errors import RecipeError, UsageError, suggest


class Named(Protocol):
    """What a table holds: a spec that knows its own name."""

    @property
    def name(self) -> str:
        """The name it is found by."""
        ...


Spec = TypeVar("Spec", bound=Named)


@dataclass(frozen=True)
class Table(Generic[Spec]):
    """Specs by name.

    Attributes:
        what: The word for one of them in an error: attacker, network, method.
        group: The entry-point group under which installed packages add their own.
        kind: The type of a spec; an entry point must lead to an instance of it.
        ours: The specs we ship, by name.
    """

    what: str
    group: str
    kind: type[Spec]
    ours: Mapping[str, Spec]

    def names(self) -> tuple[str, ...]:
        """Return every known name, ours first; loads no package."""
        return tuple(dict.fromkeys([*self.ours, *(entry.name for entry in _entries(self.group))]))

    def find(self, name: str, where: str) -> Spec:
        """Return the spec of a name.

        Args:
            name: As a user writes it.
            where: The file or option named in an error.

        Raises:
            RecipeError: Nothing has this name.
            UsageError: The package that adds it does not load, breaks the contract, or takes a name that is taken.
        """
        entries = [entry for entry in _entries(self.group) if entry.name == name]
        owners = [*(["anon_tune"] if name in self.ours else []), *map(_package, entries)]
        if len(owners) > 1:
            rule = f"the {self.what} '{name}' comes from {len(owners)} packages, {' and '.join(owners)}"
            raise UsageError(where, rule, remedy="Uninstall all but one of them")
        if name in self.ours:
            return self.ours[name]
        if not entries:
            raise RecipeError(where, f"unknown {self.what} '{name}'", remedy=suggest(name, self.names()))
        return self._load(entries[0])

    def _load(self, entry: EntryPoint) -> Spec:
        where, remedy = f"package {_package(entry)}", "Fix the package, or uninstall it"
        try:
            spec = entry.load()
        except Exception as error:  # a package of somebody else may raise anything
            first = (str(error).splitlines() or [""])[0]
            rule = f"its {self.what} '{entry.name}' cannot be loaded: {type(error).__name__}: {first}"
            raise UsageError(where, rule, remedy=remedy) from error
        if not isinstance(spec, self.kind):
            rule = f"its {self.what} '{entry.name}' must be of type {self.kind.__module__}.{self.kind.__name__}"
            raise UsageError(where, rule, type(spec).__name__, remedy)
        if spec.name != entry.name:
            rule = f"its {self.what} '{entry.name}' must have the name of its entry point"
            raise UsageError(where, rule, spec.name, remedy)
        return spec


def _entries(group: str) -> tuple[EntryPoint, ...]:
    return _installed(group, tuple(sys.path))


@functools.lru_cache(maxsize=32)
def _installed(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Return the entry points of a group; read anew only where Python looks for packages elsewhere."""
    return tuple(sorted(entry_points(group=group), key=lambda entry: (entry.name, _package(entry))))


def _package(entry: EntryPoint) -> str:
    return f"'{entry.dist.name}'" if entry.dist is not None else "of an unknown name"
