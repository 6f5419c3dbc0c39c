"""How networks learn and score private attributes: the values of a category by a softmax, others one by one.

Shapes: N clips, A private attributes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from anon_tune.training.losses import Categories, without_category

__all__ = ["Categories", "private_loss", "private_scores"]


def private_loss(logits: Tensor, labels: Tensor, categories: Categories) -> Tensor:
    """Return the mean loss over labels, a scalar with gradient: cross-entropy of a category, BCE of other attributes.

    A category counts as one label, no matter how many values it has.

    Args:
        logits: (N,A).
        labels: (N,A), 0 or 1; in each category one value is 1.
        categories: Columns of each category.
    """
    binary = without_category(logits.shape[1], categories)
    losses = [F.cross_entropy(logits[:, list(at)], labels[:, list(at)].argmax(dim=1)) for at in categories]
    if binary:
        losses.append(F.binary_cross_entropy_with_logits(logits[:, binary], labels[:, binary]) * len(binary))
    return torch.stack(losses).sum() / (len(categories) + len(binary))


def private_scores(logits: Tensor, categories: Categories) -> Tensor:
    """Return scores (N,A) whose order within a column is that of the attribute's probability.

    The logit of one value of a category means nothing without the logits of the other values. So the logits of a
    category become log-probabilities.
    """
    scores = logits.clone()
    for at in categories:
        scores[:, list(at)] = logits[:, list(at)].log_softmax(dim=1)
    return scores
