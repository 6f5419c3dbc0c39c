"""Attackers whose network has a name in another library: ``timm:resnet50``, ``torchvision:r3d_18``; and our I3D."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from anon_tune.attackers.protocol import Setting
from anon_tune.attackers.spec import AttackerSpec
from anon_tune.errors import RecipeError, suggest
from anon_tune.networks.families import FAMILIES, family_of, sight_of

if TYPE_CHECKING:
    from torch import nn

_OURS = ("i3d_r50",)
LARGE_NETWORK_LR = 1e-3
"""Large networks lose their way at the learning rate of the small ones."""


def is_named(name: str) -> bool:
    """Return True if an attacker or a classifier of this name is a network of `anon_tune.networks`."""
    return name in _OURS or bool(family_of(name))


def named_attacker(name: str, where: str) -> AttackerSpec:
    """Return the spec of an attacker with a network of `anon_tune.networks`.

    An image network looks at frames one by one, and its outputs are averaged; a video network looks at the clip. Both
    see shifted and mirrored clips in training, however many clips there are.

    Raises:
        RecipeError: There is no such network, or it rewrites frames.
        UsageError: Its library is not installed.
    """
    if not is_named(name):
        remedy = f"{suggest(name, ('small', *_OURS))} Networks of libraries are written as timm:resnet50"
        raise RecipeError(where, f"unknown network '{name}'", remedy=remedy)
    if name not in _OURS and sight_of(name, "", where) == "rewrites":
        rule = f"'{name}' rewrites frames and cannot recognize anything"
        raise RecipeError(where, rule, remedy="Name a network of torchvision or timm")
    source = "Carreira and Zisserman, arXiv:1705.07750" if name in _OURS else FAMILIES[family_of(name)].source
    return AttackerSpec(
        name=name,
        summary="a large network, with pretrained weights if the recipe names a file of them",
        source=source,
        build=functools.partial(_build, name),
        max_shift=1 / 12,
        mirrors=True,
        always_views=True,
        max_lr=LARGE_NETWORK_LR,
    )


def _build(name: str, setting: Setting) -> nn.Module:
    from anon_tune.networks.backbones import build_attacker

    return build_attacker(name, setting.num_attributes, setting.weights)
