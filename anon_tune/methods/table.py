"""The table of methods: our own, and those that installed packages add by the entry point ``anon_tune.methods``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import util

from anon_tune.entry_points import Table
from anon_tune.methods import (
    adversarial,
    avatar,
    bdq,
    black_out,
    blur,
    diffusion,
    downsample,
    dp_noise,
    dprp,
    external,
    frame_difference,
    identity,
    learned_lens,
    narrow,
    negative,
    penalty,
    persons,
    pixelate,
    spact,
    ted_spad,
    tokens,
    vita,
    warp_noise,
    wavelet,
)
from anon_tune.methods.spec import GAME, MethodSpec
from anon_tune.recipe import Part, recipe_names


def broken_rules(spec: MethodSpec) -> Iterator[str]:
    """Yield each rule of `MethodSpec` that a method breaks, as the end of a sentence about the method."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", spec.name):
        yield f"must have a name of lower-case letters, digits and hyphens, got '{spec.name}'"
    if spec.name in {known.partition(".")[0] for known in recipe_names()}:
        yield "must not have the name of a part of the recipe"
    takes_text = any(argument.is_text for argument in spec.arguments)
    if takes_text and len(spec.arguments) > 1:
        yield "must have no other argument beside a text"
    if spec.arguments and (spec.is_trained or (spec.section is not None and not takes_text)):
        yield "must have either arguments, if it is closed-form, or a section"
    yield from _broken_section(spec)
    for other in (*spec.fixes, *spec.sets, *spec.defaults):
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
    """True if a module can be found. It is not loaded, because a builder loads torch."""
    try:
        return util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


METHODS: Table[MethodSpec] = Table(
    what="method",
    group="anon_tune.methods",
    kind=MethodSpec,
    ours={
        "identity": identity.SPEC,
        "black-out": black_out.SPEC,
        "negative": negative.SPEC,
        "downsample": downsample.SPEC,
        "blur": blur.SPEC,
        "pixelate": pixelate.SPEC,
        "dp-noise": dp_noise.SPEC,
        "dprp": dprp.SPEC,
        "frame-difference": frame_difference.SPEC,
        "person-black-out": persons.BLACK_OUT,
        "person-blur": persons.BLUR,
        "area-blur": persons.AREA_BLUR,
        "area-pixelate": persons.AREA_PIXELATE,
        "warp-noise": warp_noise.SPEC,
        "avatar": avatar.SPEC,
        "external": external.SPEC,
        "adversarial": adversarial.SPEC,
        "penalty-pixels": penalty.PIXELS,
        "penalty-features": penalty.FEATURES,
        "penalty-detached": penalty.DETACHED,
        "spact": spact.SPEC,
        "vita": vita.SPEC,
        "narrow": narrow.SPEC,
        "bdq": bdq.SPEC,
        "learned-lens": learned_lens.SPEC,
        "diffusion": diffusion.SPEC,
        "ted-spad": ted_spad.SPEC,
        "wavelet": wavelet.SPEC,
        "tokens": tokens.SPEC,
    },
    broken_rules=broken_rules,
)


def names() -> tuple[str, ...]:
    """Return the names of all methods, our own first. This loads no package."""
    return METHODS.names()


def specs() -> tuple[MethodSpec, ...]:
    """Return the specs of all methods.

    Raises:
        UsageError: A package adds a method that cannot be loaded or breaks the contract.
    """
    return tuple(find_spec(name) for name in names())


def find_spec(name: str, where: str = "method") -> MethodSpec:
    """Return the spec of a method by its name.

    Args:
        name: The name of the method, without arguments.
        where: The file or option that it came from, for error messages.

    Raises:
        RecipeError: There is no such method.
        UsageError: The package that adds it cannot be loaded or breaks the contract, or the name is taken.
    """
    return METHODS.find(name, where)
