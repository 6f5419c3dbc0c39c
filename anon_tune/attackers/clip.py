"""The clip attacker: the whole clip in space and time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anon_tune.attackers.protocol import Setting
from anon_tune.attackers.spec import AttackerSpec

if TYPE_CHECKING:
    from torch import nn


def build(setting: Setting) -> nn.Module:
    """Build a 3D network."""
    from anon_tune.networks.clip_readers import ClipReader, depth_for

    return ClipReader(setting.num_attributes, setting.width, depth_for(*setting.clip_shape[1:]))


SPEC = AttackerSpec(
    name="clip",
    summary="the whole clip in space and time, by 3D convolutions",
    source="ours; the network is that of the action classifier",
    build=build,
)
