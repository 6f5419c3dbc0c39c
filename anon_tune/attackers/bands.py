"""Attackers on one band of the Haar transform: the coarse picture, or the finest details alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anon_tune.attackers.protocol import Setting
from anon_tune.attackers.spec import AttackerSpec

if TYPE_CHECKING:
    from torch import nn


def build_low(setting: Setting) -> nn.Module:
    """Build a 2D network on frames of half the height and width."""
    from anon_tune.networks.clip_readers import BandReader

    return BandReader(setting.num_attributes, setting.width, setting.clip_shape[1:], details=False)


def build_high(setting: Setting) -> nn.Module:
    """Build a 2D network on what remains of frames without their low band."""
    from anon_tune.networks.clip_readers import BandReader

    return BandReader(setting.num_attributes, setting.width, setting.clip_shape[1:], details=True)


LOW = AttackerSpec(
    name="low-band",
    summary="frames of half the height and width, one by one",
    source="the controller on the low band of arXiv:2412.00277; ours is trained on the anonymized clips",
    build=build_low,
    max_shift=1 / 32,
    mirrors=True,
)

HIGH = AttackerSpec(
    name="high-band",
    summary="the finest details of frames, without any coarse colours, one by one",
    source="the controller on the high bands of arXiv:2412.00277; ours is trained on the anonymized clips",
    build=build_high,
    max_shift=1 / 32,
    mirrors=True,
)
