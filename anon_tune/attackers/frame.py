"""The frame attacker: the appearance of single frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anon_tune.attackers.protocol import Setting
from anon_tune.attackers.spec import AttackerSpec

if TYPE_CHECKING:
    from torch import nn


def build(setting: Setting) -> nn.Module:
    """Build a 2D network that looks at frames one by one."""
    from anon_tune.networks.clip_readers import StillsReader, depth_for

    return StillsReader(setting.num_attributes, setting.width, depth_for(*setting.clip_shape[1:]))


SPEC = AttackerSpec(
    name="frame",
    summary="frames one by one, averaged over the clip: appearance",
    source="ours; the privacy attacker of SPAct (arXiv:2203.15205) looks at single frames too",
    build=build,
    max_shift=1 / 24,
    mirrors=True,
)
