"""What a network reaches in the utility task: top-1 of actions, or the ROC AUC of anomalies over frames.

Shapes: N clips, T frames per clip, S segments per clip, K actions.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from anon_tune.clips import ClipSet
from anon_tune.evaluation.metrics import Floats, Ints, majority, top1
from anon_tune.training.anomaly import segment_logits
from anon_tune.utility_task import ANOMALY


class SegmentReader(nn.Module):
    """Gives each segment of a clip a logit, by a network with one output.

    Args:
        network: Maps clips (B,t,C,H,W) in [0, 1] to logits (B,1).
        num_segments: S.
    """

    def __init__(self, network: nn.Module, num_segments: int) -> None:
        super().__init__()
        self.network, self.num_segments = network, num_segments

    def forward(self, clips: Tensor) -> Tensor:
        """Map clips (B,T,C,H,W) in [0, 1] to logits (B,S)."""
        return segment_logits(self.network, clips, self.num_segments)


def utility_value(task: str, said: Floats, clips: ClipSet, at: Ints | None = None) -> float:
    """Return what a network reaches in a task, in [0, 1]; NaN if the clips do not allow it.

    Anomalies are measured over frames, each with the score of its segment. If the frame truth is not known of all
    clips, as it may be on a validation split, they are measured over videos, each with its largest score.

    Args:
        task: Name of the task.
        said: Logits of actions (N,K), or of segments (N,S).
        clips: The clips; their labels are those of `as_anomalies` for the task ``anomaly``.
        at: Rows of the clips to measure on, perhaps repeated; None for all.
    """
    rows = np.arange(len(clips)) if at is None else at
    if task != ANOMALY.name:
        return top1(said[rows], clips.actions[rows])
    if clips.frame_truth is None:
        return _auc(clips.actions[rows], said[rows].max(axis=1))
    return frame_auc(said[rows], clips.frame_truth[rows])


def utility_floor(task: str, train: ClipSet, read: ClipSet) -> float:
    """Return what a network reaches that sees nothing."""
    return 0.5 if task == ANOMALY.name else majority(train, read)


def beside_value(said: Floats, clips: ClipSet, at: Ints | None = None) -> float:
    """Return the ROC AUC over the frames of abnormal clips only; NaN without frame truth.

    A network that tells abnormal videos from normal ones, but not when the anomaly happens, gets 0.5 here.
    """
    rows = np.arange(len(clips)) if at is None else at
    rows = rows[clips.actions[rows] == 1]
    return math.nan if clips.frame_truth is None else frame_auc(said[rows], clips.frame_truth[rows])


def frame_auc(said: Floats, truth: NDArray[np.uint8]) -> float:
    """Return the ROC AUC over all frames of all clips, from scores of segments (N,S) and frame truth (N,T)."""
    repeated = np.repeat(said, truth.shape[1] // said.shape[1], axis=1)
    return _auc(truth.ravel(), repeated.ravel())


def _auc(truth: NDArray[np.generic], scores: Floats) -> float:
    from sklearn.metrics import roc_auc_score  # loads slowly, and trials on actions need none of it

    return float(roc_auc_score(truth, scores)) if len(np.unique(truth)) == 2 else math.nan
