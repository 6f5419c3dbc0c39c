"""How networks learn and score private attributes: the values of a category by a softmax, others one by one.

Shapes: N clips, A private attributes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

Categories = Sequence[Sequence[int]]
"""For each category, the columns of its values; see `anon_tune.clips.ClipSet`."""


def private_loss(logits: Tensor, labels: Tensor, categories: Categories) -> Tensor:
    """Return the mean loss over labels, a scalar with gradient: cross-entropy of a category, BCE of other attributes.

    A category counts as one label, no matter how many values it has.

    Args:
        logits: (N,A).
        labels: (N,A), 0 or 1; in each category one value is 1.
        categories: Columns of each category.
    """
    binary = _others(logits.shape[1], categories)
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


def _others(num_attributes: int, categories: Categories) -> list[int]:
    taken = {column for at in categories for column in at}
    return [column for column in range(num_attributes) if column not in taken]
