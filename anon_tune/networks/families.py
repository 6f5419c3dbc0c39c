"""Networks of other libraries by name: ``smp:``, ``torchvision:`` and ``timm:``.

Nothing here loads torch. A library is loaded when one of its names is looked up, because only the library knows them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Literal

from anon_tune.errors import RecipeError, UsageError, cause_of, suggest
from anon_tune.networks.spec import NetworkSpec, on_call

Sight = Literal["rewrites", "frames", "clips"]
"""What a network does: it rewrites frames, or it classifies frames or clips."""


@dataclass(frozen=True, slots=True)
class Family:
    """A library whose networks can be named.

    Attributes:
        package: The module to load, and what pip calls it, with hyphens for underscores.
        source: Who wrote it.
        names: Returns what each network does, by its name within the family.
    """

    package: str
    source: str
    names: Callable[[Any], dict[str, Sight]]


SMP_ARCHITECTURES = (
    "unet",
    "unetplusplus",
    "manet",
    "linknet",
    "fpn",
    "pspnet",
    "deeplabv3",
    "deeplabv3plus",
    "pan",
    "upernet",
    "segformer",
)


def _smp_names(smp: Any) -> dict[str, Sight]:
    encoders = smp.encoders.get_encoder_names()
    return {f"{one}-{encoder}": "rewrites" for one in SMP_ARCHITECTURES for encoder in encoders}


def _torchvision_names(torchvision: Any) -> dict[str, Sight]:
    models = torchvision.models
    still: dict[str, Sight] = dict.fromkeys(models.list_models(module=models), "frames")
    return still | dict.fromkeys(models.list_models(module=models.video), "clips")


def _timm_names(timm: Any) -> dict[str, Sight]:
    return dict.fromkeys(timm.list_models(), "frames")


FAMILIES: dict[str, Family] = {
    "smp": Family("segmentation_models_pytorch", "segmentation-models-pytorch", _smp_names),
    "torchvision": Family("torchvision", "torchvision", _torchvision_names),
    "timm": Family("timm", "timm (PyTorch Image Models)", _timm_names),
}


def family_of(name: str) -> str:
    """Return the family of a network's name, and an empty text if it has none of ours."""
    family, colon, _ = name.partition(":")
    return family if colon and family in FAMILIES else ""


def sight_of(name: str, at: str, where: str) -> Sight:
    """Return what a network of a family does.

    Args:
        name: The name with its family, such as ``timm:resnet50``.
        at: The value of the recipe that names it, for error messages; empty if `where` says it.
        where: The file or option that it came from, for error messages.

    Raises:
        RecipeError: The family has no network of this name.
        UsageError: The library is not installed, or does not load.
    """
    family = family_of(name)
    known = _names(family, where)
    bare = name.partition(":")[2]
    if bare not in known:
        remedy = suggest(name, (f"{family}:{one}" for one in known))
        if not remedy.endswith("?"):  # a family has a thousand names
            remedy = f"See the names that {FAMILIES[family].source} lists"
        raise RecipeError(where, f"{at}{': ' * bool(at)}unknown network '{name}'", remedy=remedy)
    return known[bare]


def spec_in_family(name: str, at: str, where: str) -> NetworkSpec:
    """Return the spec of a network of a family, with the roles that it can have.

    Raises:
        RecipeError, UsageError: As `sight_of`.
    """
    sight = sight_of(name, at, where)
    spec = functools.partial(NetworkSpec, name, f"of {FAMILIES[family_of(name)].source}", "see the library")
    if sight == "rewrites":
        return spec(anonymizer=on_call("segmentation", "build_segmentation"))
    of_clips = spec(utility=on_call("backbones", "build_utility"))
    return of_clips if sight == "clips" else replace(of_clips, privacy=on_call("backbones", "build_privacy"))


@functools.cache
def _names(family: str, where: str) -> dict[str, Sight]:
    one = FAMILIES[family]
    try:
        return one.names(import_module(one.package))
    except ImportError as error:
        remedy = f"pip install {one.package.replace('_', '-')}"
        rule = f"networks '{family}:' need the package {one.package}, which does not load"
        raise UsageError(where, rule, remedy=remedy, cause=cause_of(error)) from None
