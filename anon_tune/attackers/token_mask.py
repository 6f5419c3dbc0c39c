"""The attacker on the mask of a method that drops parts of a clip. It sees what was kept, but none of the pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anon_tune.attackers.protocol import Setting
from anon_tune.attackers.spec import AttackerSpec

if TYPE_CHECKING:
    from torch import nn


def build(setting: Setting) -> nn.Module:
    """Build a 3D network on the mask."""
    from anon_tune.networks.clip_readers import MaskReader

    return MaskReader(setting.num_attributes, setting.width, setting.clip_shape)


SPEC = AttackerSpec(
    name="token-mask",
    summary="the shape and place of what was kept of a clip, without its pixels",
    source="ours",
    build=build,
    inputs=("mask",),
)
