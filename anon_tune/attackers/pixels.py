"""The pixels attacker: coarse colours, without any convolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anon_tune.attackers.protocol import Setting
from anon_tune.attackers.spec import AttackerSpec

if TYPE_CHECKING:
    from torch import nn


def build(setting: Setting) -> nn.Module:
    """Build a network of two layers on the mean frame."""
    from anon_tune.networks.clip_readers import CoarseReader

    return CoarseReader(setting.num_attributes, setting.width)


SPEC = AttackerSpec(
    name="pixels",
    summary="the coarse colours of the mean frame, without any convolution",
    source="ours",
    build=build,
)
