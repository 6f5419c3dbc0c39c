"""Tables of specs by name: ours come from a literal mapping, others from entry points of installed packages."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, Protocol, TypeVar

from anon_tune.errors import RecipeError, UsageError, cause_of, suggest


class Named(Protocol):
    """What a table holds: a spec with its own name."""

    @property
    def name(self) -> str:
        """The name by which it is found."""
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
        broken_rules: Yields every rule that a package's spec breaks, as the end of a sentence about the spec.
    """

    what: str
    group: str
    kind: type[Spec]
    ours: Mapping[str, Spec]
    broken_rules: Callable[[Spec], Iterable[str]] = lambda spec: ()
    _loaded: dict[tuple[EntryPoint, tuple[str, ...]], Spec] = field(default_factory=dict, compare=False, repr=False)

    def names(self) -> tuple[str, ...]:
        """Return every known name, ours first. This loads no package."""
        return tuple(dict.fromkeys([*self.ours, *(entry.name for entry in _entries(self.group))]))

    def names_of_packages(self) -> frozenset[str]:
        """Return the names that only installed packages add."""
        return frozenset(self.names()) - self.ours.keys()

    def find(self, name: str, where: str) -> Spec:
        """Return the spec of a name.

        Args:
            name: The name, as a user writes it.
            where: The file or option named in an error.

        Raises:
            RecipeError: Nothing has this name.
            UsageError: The package that adds it cannot be loaded or breaks the contract, or several packages add it.
        """
        entries = [entry for entry in _entries(self.group) if entry.name == name]
        owners = [*(["anon_tune"] if name in self.ours else []), *map(_package, entries)]
        if len(owners) > 1:
            rule = f"the {self.what} '{name}' comes from {len(owners)} packages, {' and '.join(owners)}"
            raise UsageError(where, rule, remedy="Uninstall all but one of them")
        if name in self.ours:
            return self.ours[name]
        if not entries:
            remedy = suggest(name, self.names())
            if not remedy.endswith("?"):  # no near name
                remedy = f"If a package adds it, install that package. {remedy}"
            raise RecipeError(where, f"unknown {self.what} '{name}'", remedy=remedy)
        key = (entries[0], tuple(sys.path))  # another path may hold another package with the same entry point
        if key not in self._loaded:
            self._loaded[key] = self._load(entries[0])
        return self._loaded[key]

    def _load(self, entry: EntryPoint) -> Spec:
        where, remedy = f"package {_package(entry)}", "Fix the package, or uninstall it"
        one = f"its {self.what} '{entry.name}'"
        try:
            spec = entry.load()
        except (Exception, SystemExit) as error:  # somebody else's package may raise anything
            raise UsageError(where, f"{one} cannot be loaded", remedy=remedy, cause=cause_of(error)) from error
        if not isinstance(spec, self.kind):
            rule = f"{one} must be of type {self.kind.__module__}.{self.kind.__name__}"
            raise UsageError(where, rule, type(spec).__name__, remedy)
        if spec.name != entry.name:
            raise UsageError(where, f"{one} must have the name of its entry point", spec.name, remedy)
        for broken in self.broken_rules(spec):
            raise UsageError(where, f"{one} {broken}", remedy=remedy)
        return spec


def _entries(group: str) -> tuple[EntryPoint, ...]:
    return _installed(group, tuple(sys.path))


@functools.lru_cache(maxsize=32)
def _installed(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Return the entry points of a group. They are read again only if ``sys.path`` has changed."""
    return tuple(sorted(entry_points(group=group), key=lambda entry: (entry.name, _package(entry))))


def _package(entry: EntryPoint) -> str:
    return f"'{entry.dist.name}'" if entry.dist is not None else "of an unknown name"
