"""The game: losses, penalty, the two moves, the trainer, checkpoints.

Shapes in this room: B clips, T frames per clip, N stills, C channels, H height, W width, A attributes,
K actions, E embedding dimensions.
"""

from anon_tune.training.branches import AttackerBranch, PrivacyBranches, Seen, Target
from anon_tune.training.collective import Collective
from anon_tune.training.demands import check_demands, check_task
from anon_tune.training.hooks import GameHooks, Head, TrialTrainer
from anon_tune.training.losses import adversary, distortion, nt_xent, penalty, privacy_loss, quantize, uniform
from anon_tune.training.private_gradients import check_private_networks
from anon_tune.training.private_trainer import PrivateTrainer, check_region
from anon_tune.training.terms import Move, Term, Value
from anon_tune.training.trainer import Trainer

__all__ = [
    "AttackerBranch",
    "Collective",
    "GameHooks",
    "Head",
    "Move",
    "PrivacyBranches",
    "PrivateTrainer",
    "Seen",
    "Target",
    "Term",
    "Trainer",
    "TrialTrainer",
    "Value",
    "adversary",
    "check_demands",
    "check_private_networks",
    "check_region",
    "check_task",
    "distortion",
    "nt_xent",
    "penalty",
    "privacy_loss",
    "quantize",
    "uniform",
]
