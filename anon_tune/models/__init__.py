"""Networks: anonymizers f_A, utility (action) networks f_T, privacy networks f_B.

Shapes in this room: B clips, T frames a clip, N frames, C channels, H height, W width.
"""

from anon_tune.models.anonymizers import Anonymizer, FrameAnonymizer
from anon_tune.models.build import build_anonymizer
from anon_tune.models.closed_form import BlackOut, Identity
from anon_tune.models.privacy import PrivacyNetwork, build_privacy
from anon_tune.models.utility import UtilityNetwork, build_utility
from anon_tune.models.weights import load_weights, save_weights

__all__ = [
    "Anonymizer",
    "BlackOut",
    "FrameAnonymizer",
    "Identity",
    "PrivacyNetwork",
    "UtilityNetwork",
    "build_anonymizer",
    "build_privacy",
    "build_utility",
    "load_weights",
    "save_weights",
]
