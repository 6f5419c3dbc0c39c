"""Networks: anonymizers f_A, utility (action) networks f_T, privacy networks f_B.

Shapes in this room: B clips, T frames per clip, N frames, C channels, H height, W width.

Names resolve on first use, and torchvision loads when one of its networks is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anon_tune.on_demand import on_demand

if TYPE_CHECKING:
    from anon_tune.networks.anonymizers import Anonymizer, FrameAnonymizer
    from anon_tune.networks.device import pick_device
    from anon_tune.networks.privacy import PrivacyNetwork
    from anon_tune.networks.spec import NetworkSpec
    from anon_tune.networks.table import NETWORKS, build_network, check_network
    from anon_tune.networks.utility import UtilityNetwork
    from anon_tune.networks.weights import load_weights, save_weights

_MODULES = {
    "Anonymizer": "anon_tune.networks.anonymizers",
    "FrameAnonymizer": "anon_tune.networks.anonymizers",
    "NETWORKS": "anon_tune.networks.table",
    "NetworkSpec": "anon_tune.networks.spec",
    "PrivacyNetwork": "anon_tune.networks.privacy",
    "UtilityNetwork": "anon_tune.networks.utility",
    "build_network": "anon_tune.networks.table",
    "check_network": "anon_tune.networks.table",
    "load_weights": "anon_tune.networks.weights",
    "pick_device": "anon_tune.networks.device",
    "save_weights": "anon_tune.networks.weights",
}

__all__ = [
    "NETWORKS",
    "Anonymizer",
    "FrameAnonymizer",
    "NetworkSpec",
    "PrivacyNetwork",
    "UtilityNetwork",
    "build_network",
    "check_network",
    "load_weights",
    "pick_device",
    "save_weights",
]

__getattr__ = on_demand(__name__, _MODULES)
