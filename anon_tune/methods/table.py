"""The table of methods: ours by name, and those of installed packages through the entry point ``anon_tune.methods``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module, metadata, util
from importlib.metadata import EntryPoint

from anon_tune.errors import RecipeError, UsageError, suggest
from anon_tune.methods.spec import GAME, MethodSpec
from anon_tune.recipe import Part, recipe_names

GROUP = "anon_tune.methods"

TABLE = {
    "identity": "anon_tune.methods.identity:SPEC",
    "black-out": "anon_tune.methods.black_out:SPEC",
    "negative": "anon_tune.methods.negative:SPEC",
    "downsample": "anon_tune.methods.downsample:SPEC",
    "blur": "anon_tune.methods.blur:SPEC",
    "pixelate": "anon_tune.methods.pixelate:SPEC",
    "frame-difference": "anon_tune.methods.frame_difference:SPEC",
    "person-black-out": "anon_tune.methods.persons:BLACK_OUT",
    "person-blur": "anon_tune.methods.persons:BLUR",
    "area-blur": "anon_tune.methods.persons:AREA_BLUR",
    "area-pixelate": "anon_tune.methods.persons:AREA_PIXELATE",
    "adversarial": "anon_tune.methods.adversarial:SPEC",
    "penalty-pixels": "anon_tune.methods.penalty:PIXELS",
    "penalty-features": "anon_tune.methods.penalty:FEATURES",
    "penalty-detached": "anon_tune.methods.penalty:DETACHED",
    "spact": "anon_tune.methods.spact:SPEC",
    "vita": "anon_tune.methods.vita:SPEC",
    "bdq": "anon_tune.methods.bdq:SPEC",
}
"""Our methods: the name, and where its spec stands."""


def names() -> tuple[str, ...]:
    """Return the names of all methods, ours first. Loads none of them."""
    return (*TABLE, *sorted({entry.name for entry in metadata.entry_points(group=GROUP)} - TABLE.keys()))


def specs() -> tuple[MethodSpec, ...]:
    """Return the specs of all methods.

    Raises:
        UsageError: A package brings a method that cannot be loaded or breaks the contract.
    """
    return tuple(find_spec(name) for name in names())


def find_spec(name: str, where: str = "method") -> MethodSpec:
    """Return the spec of a method by its name.

    Args:
        name: Without arguments.
        where: The file or option named in an error.

    Raises:
        RecipeError: There is no such method.
        UsageError: The package that brings it cannot be loaded or breaks the contract.
    """
    spec = _loaded.get(name) or _load(name)
    if spec is None:
        remedy = suggest(name, names())
        if not remedy.endswith("?"):  # no near name
            remedy = f"If a package adds it, install that package. {remedy}"
        raise RecipeError(where, f"unknown method '{name}'", remedy=remedy)
    return spec


_loaded: dict[str, MethodSpec] = {}  # a name that is not here is looked for again: its package may have been brought


def _load(name: str) -> MethodSpec | None:
    if name in TABLE:
        module, _, attribute = TABLE[name].partition(":")
        _loaded[name] = getattr(import_module(module), attribute)
    elif found := [entry for entry in metadata.entry_points(group=GROUP) if entry.name == name]:
        _loaded[name] = _foreign(found)
    return _loaded.get(name)


def _foreign(found: list[EntryPoint]) -> MethodSpec:
    """Load the spec that a package brings; whatever goes wrong in there is one line that names the package."""
    packages = sorted({_package(entry) for entry in found})
    where = f"package '{packages[0]}'"
    if len(packages) > 1:
        rule = f"two packages bring the method '{found[0].name}'"
        raise UsageError(" and ".join(packages), rule, remedy="Uninstall one of the two")
    try:
        spec = found[0].load()
    except (Exception, SystemExit) as error:  # whatever a package does when it is imported
        lines = str(error).splitlines() or [""]
        cause = f"{type(error).__name__}: {lines[0]}"
        remedy = "Repair or uninstall the package"
        raise UsageError(where, f"its method '{found[0].name}' cannot be loaded", cause, remedy) from None
    for broken in broken_rules(found[0].name, spec):
        raise UsageError(where, f"its method '{found[0].name}' {broken}", remedy="Repair or uninstall the package")
    assert isinstance(spec, MethodSpec)
    return spec


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.value


def broken_rules(name: str, spec: object) -> Iterator[str]:
    """Yield what a method breaks of the contract that `MethodSpec` describes, as the end of a sentence."""
    if not isinstance(spec, MethodSpec):
        yield f"must be a MethodSpec, got {type(spec).__name__}"
        return
    if spec.name != name or not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        yield f"must have its entry point's name, of lower-case letters, digits and hyphens, got '{spec.name}'"
    if name in {known.partition(".")[0] for known in recipe_names()}:
        yield "must not have the name of a part of the recipe"
    if spec.arguments and (spec.is_trained or spec.section is not None):
        yield "must have either arguments, if it is closed-form, or a section"
    yield from _broken_section(spec)
    for other in (*spec.fixes, *spec.sets):
        if other not in recipe_names() or other == "method":
            yield f"sets '{other}', which is no value of the recipe"
    for part in spec.uses:
        if part not in GAME:
            yield f"uses '{part}', which must be one of {', '.join(GAME)}"
    if not _exists(spec.builder):
        yield f"names the builder '{spec.builder}', which is no module"


def _broken_section(spec: MethodSpec) -> Iterator[str]:
    section = spec.section
    fields: set[str] = set()
    if section is None:
        pass
    elif not (isinstance(section, type) and issubclass(section, Part)):
        yield f"must have a section derived from anon_tune.recipe.Part, got {section!r}"
        return
    else:
        fields = set(section.model_fields)
        for key, info in section.model_fields.items():
            if info.is_required():
                yield f"must have a default for '{spec.name}.{key}'"
    for key in spec.sets.values():
        if key not in fields:
            yield f"sets a value by '{spec.name}.{key}', which its section does not have"


def _exists(module: str) -> bool:
    """True for a module that can be found; looks for it without loading it, as a builder loads torch."""
    try:
        return util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
