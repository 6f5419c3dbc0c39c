"""The ranking loss on segments, with the oracle values of its formula."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from anon_tune.training.anomaly import ranking_loss, segment_logits

ABNORMAL, NORMAL = [0.1, 0.9, 0.2], [0.3, 0.2, 0.1]


def logits(*scores: list[float]) -> Tensor:
    return torch.tensor(scores, dtype=torch.float64).logit().requires_grad_()


def test_the_loss_of_one_pair_is_that_of_the_formula() -> None:
    loss = ranking_loss(logits(ABNORMAL, NORMAL), torch.tensor([1, 0]))
    assert loss.item() == pytest.approx(0.4001864, abs=1e-9)  # 1 - .9 + .3 + 8e-5 (1.13 + 1.2)


def test_every_abnormal_clip_is_compared_with_every_normal_one() -> None:
    clips = logits(ABNORMAL, NORMAL, [0.5, 0.5, 0.5])
    mean_of_pairs = ((1 - 0.9 + 0.3) + (1 - 0.9 + 0.5)) / 2
    assert ranking_loss(clips, torch.tensor([1, 0, 0])).item() == pytest.approx(mean_of_pairs + 1.864e-4, abs=1e-9)


@pytest.mark.parametrize(("kind", "value"), [(1, 0.1 + 1.864e-4), (0, 0.9)])
def test_a_batch_of_one_kind_is_compared_with_perfect_scores(kind: int, value: float) -> None:
    clips = logits(ABNORMAL)
    loss = ranking_loss(clips, torch.tensor([kind]))
    loss.backward()
    assert loss.item() == pytest.approx(value, abs=1e-9)
    assert clips.grad is not None and clips.grad[0, 1] != 0


def test_segments_keep_their_order() -> None:
    class Brightness(nn.Module):
        def forward(self, clips: Tensor) -> Tensor:
            return clips.flatten(1).mean(dim=1, keepdim=True)

    clips = torch.arange(12.0).view(2, 6, 1, 1, 1).expand(2, 6, 3, 4, 5)
    assert segment_logits(Brightness(), clips, 3).tolist() == [[0.5, 2.5, 4.5], [6.5, 8.5, 10.5]]
