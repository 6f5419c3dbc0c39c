"""The utility task ``anomaly``: learn from the labels of whole videos in which of their segments something is abnormal.

Shapes: B clips, T frames per clip, S segments of T / S frames each, C channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anon_tune.clips import ClipSet
from anon_tune.clips.frame_truth import as_anomalies
from anon_tune.recipe import UtilityRecipe
from anon_tune.utility_task import ANOMALY

SMOOTHNESS = 8e-5
SPARSITY = 8e-5


def segment_logits(network: nn.Module, clips: Tensor, num_segments: int) -> Tensor:
    """Return the logit of every segment, (B,S).

    Args:
        network: Maps clips (B*S,T/S,C,H,W) in [0, 1] to logits (B*S,1).
        clips: (B,T,C,H,W).
        num_segments: The number S of segments, which divides T.
    """
    segments = clips.unflatten(1, (num_segments, -1)).flatten(0, 1)
    logits: Tensor = network(segments)
    return logits.view(len(clips), num_segments)


def ranking_loss(logits: Tensor, abnormal: Tensor) -> Tensor:
    """Return the multiple-instance ranking loss of segments, a scalar.

    With scores ``s = sigmoid(logits)``, it is the mean over all pairs of an abnormal and a normal clip of
    ``max(0, 1 - max s_abnormal + max s_normal)``, and the mean over abnormal clips of
    ``8e-5 sum (s_i+1 - s_i)^2 + 8e-5 sum s_i``.

    Args:
        logits: (B,S).
        abnormal: (B,), 1 for an abnormal clip and 0 for a normal one.

    Source:
        Sultani, Chen, Shah (arXiv:1801.04264), equations 6 and 7. We differ: a batch without a normal or without an
        abnormal clip is compared with perfect scores, so that no batch is skipped.
    """
    scores = logits.sigmoid()
    high = abnormal.to(scores.dtype)
    low = 1 - high
    top = scores.amax(dim=1)
    pairs = high[:, None] * low
    ranked = (pairs * (1 - top[:, None] + top).clamp(min=0)).sum() / pairs.sum().clamp(min=1)
    alone = (high * (1 - top) + low * top).mean()
    kept = SMOOTHNESS * scores.diff(dim=1).square().sum(dim=1) + SPARSITY * scores.sum(dim=1)
    return torch.where(pairs.sum() > 0, ranked, alone) + (high * kept).sum() / high.sum().clamp(min=1)


def with_task_labels(task: str, clips: ClipSet) -> ClipSet:
    """Return clips with the labels that a task learns: actions, or whether a clip is abnormal."""
    return as_anomalies(clips) if task == ANOMALY.name else clips


def num_labels(task: str, num_actions: int) -> int:
    """Return the number of labels that clips have `with_task_labels` in a task."""
    return 2 if task == ANOMALY.name else num_actions


def num_outputs(recipe: UtilityRecipe, num_actions: int) -> int:
    """Return the number of outputs of the utility network: a logit per action, or one for a segment."""
    return 1 if recipe.task == ANOMALY.name else num_actions
