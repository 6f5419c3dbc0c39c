from __future__ import annotations

import torch

from anon_tune.training import Collective


def test_one_worker_needs_no_group_and_changes_nothing() -> None:
    alone = Collective()
    assert (alone.size, alone.world_rank) == (1, 0)
    x = torch.rand(3, requires_grad=True)
    assert alone.gather(x) is x
    assert torch.equal(alone.mean(x.detach()), x.detach())
    x.sum().backward()
    alone.average_gradients([x])  # type: ignore[list-item]
    assert x.grad is not None
    assert torch.equal(x.grad, torch.ones(3))
