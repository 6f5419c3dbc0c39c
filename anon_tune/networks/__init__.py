"""Networks: anonymizers f_A, utility (action) networks f_T, privacy networks f_B.

Shapes in this room: B clips, T frames per clip, N frames, C channels, H height, W width.

Names resolve on first use, so that anonymizing does not load torchvision, which only the branches need.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anon_tune.networks.anonymizers import Anonymizer, FrameAnonymizer
    from anon_tune.networks.device import pick_device
    from anon_tune.networks.privacy import PrivacyNetwork, build_privacy
    from anon_tune.networks.table import NETWORKS, NetworkSpec, check_network
    from anon_tune.networks.utility import UtilityNetwork, build_utility
    from anon_tune.networks.weights import load_weights, save_weights

_LAZY = {
    "Anonymizer": "anonymizers",
    "FrameAnonymizer": "anonymizers",
    "NETWORKS": "table",
    "NetworkSpec": "table",
    "PrivacyNetwork": "privacy",
    "UtilityNetwork": "utility",
    "build_privacy": "privacy",
    "build_utility": "utility",
    "check_network": "table",
    "load_weights": "weights",
    "pick_device": "device",
    "save_weights": "weights",
}

__all__ = [
    "NETWORKS",
    "Anonymizer",
    "FrameAnonymizer",
    "NetworkSpec",
    "PrivacyNetwork",
    "UtilityNetwork",
    "build_privacy",
    "build_utility",
    "check_network",
    "load_weights",
    "pick_device",
    "save_weights",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"anon_tune.networks.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'anon_tune.networks' has no attribute '{name}'")
