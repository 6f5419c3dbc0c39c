"""The motion attacker: differences of successive frames, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anon_tune.attackers.protocol import Setting
from anon_tune.attackers.spec import AttackerSpec

if TYPE_CHECKING:
    from torch import nn


def build(setting: Setting) -> nn.Module:
    """Build a 2D network that looks at differences of frames one by one."""
    from anon_tune.networks.clip_readers import StillsReader, depth_for

    return StillsReader(setting.num_attributes, setting.width, depth_for(*setting.clip_shape[1:]), moves=True)


SPEC = AttackerSpec(
    name="motion",
    summary="differences of successive frames, averaged over the clip: how a person moves",
    source="ours",
    build=build,
    max_shift=1 / 32,
    mirrors=True,
)
