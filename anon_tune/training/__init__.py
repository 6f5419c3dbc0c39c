"""The game: losses, penalty, the two moves, the trainer, checkpoints.

Shapes in this room: B clips, T frames a clip, N stills, C channels, H height, W width, A attributes,
K actions, E embedding dimensions.
"""

from anon_tune.training.branches import PrivacyBranches
from anon_tune.training.collective import Collective
from anon_tune.training.losses import adversary, distortion, nt_xent, penalty, privacy_loss, quantize, uniform
from anon_tune.training.trainer import Trainer

__all__ = [
    "Collective",
    "PrivacyBranches",
    "Trainer",
    "adversary",
    "distortion",
    "nt_xent",
    "penalty",
    "privacy_loss",
    "quantize",
    "uniform",
]
