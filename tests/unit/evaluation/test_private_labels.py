"""Labels that are the values of one category are learned and scored together."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from anon_tune.evaluation.private_labels import private_loss, private_scores

LOGITS = torch.tensor([[0.5, -1.0, 2.0, 0.0], [1.5, 0.2, -0.7, -1.0], [0.1, 3.0, 0.4, 2.0]])
LABELS = torch.tensor([[0.0, 0.0, 1.0, 1.0], [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 1.0]])


def test_without_categories_every_attribute_is_learned_by_bce() -> None:
    assert torch.isclose(private_loss(LOGITS, LABELS, ()), F.binary_cross_entropy_with_logits(LOGITS, LABELS))
    assert torch.equal(private_scores(LOGITS, ()), LOGITS)


def test_a_category_counts_as_one_label() -> None:
    person = F.cross_entropy(LOGITS[:, :3], torch.tensor([2, 0, 1]))
    other = F.binary_cross_entropy_with_logits(LOGITS[:, 3], LABELS[:, 3])
    assert torch.isclose(private_loss(LOGITS, LABELS, ((0, 1, 2),)), (person + other) / 2)


def test_a_category_is_scored_by_its_probabilities_and_the_rest_is_left() -> None:
    scores = private_scores(LOGITS, ((0, 2),))
    assert torch.allclose(scores[:, [0, 2]].exp().sum(dim=1), torch.ones(3))
    assert torch.equal(scores[:, [1, 3]], LOGITS[:, [1, 3]])
    # A constant that a network adds to all values of a clip's category must not move the clip among the others.
    moved = LOGITS + torch.tensor([[5.0, 0, 5.0, 0], [0, 0, 0, 0], [-3.0, 0, -3.0, 0]])
    assert torch.allclose(private_scores(moved, ((0, 2),)), scores, atol=1e-6)
