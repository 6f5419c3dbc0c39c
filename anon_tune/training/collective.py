"""Communication between the workers of one trial: averages of gradients, gathering of embeddings."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, distributed
from torch.nn import Parameter


class Collective:
    """The workers of one trial. A single worker needs no process group.

    Every worker has an equal part of a batch. The mean of the workers' gradients is therefore the gradient of the whole
    batch, and several workers compute the same as one.
    """

    def __init__(self) -> None:
        active = distributed.is_available() and distributed.is_initialized()
        self.size: int = distributed.get_world_size() if active else 1
        self.world_rank: int = distributed.get_rank() if active else 0

    def average_gradients(self, parameters: Iterable[Parameter]) -> None:
        """Replace every gradient by its mean over the workers."""
        if self.size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([g.flatten() for g in gradients])
        distributed.all_reduce(flat)
        flat /= self.size
        for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def gather(self, x: Tensor) -> Tensor:
        """Concatenate tensors (N,...) of all workers in order. The gradient flows back to each worker's own part."""
        if self.size == 1:
            return x
        parts = [torch.empty_like(x) for _ in range(self.size)]
        distributed.all_gather(parts, x.detach().contiguous())
        # Every worker computes the whole loss, but only its own part has a gradient. The mean over workers would
        # therefore count each part only 1 / size times, so the gradient of the own part is multiplied by size.
        parts[self.world_rank] = x + (self.size - 1) * (x - x.detach())
        return torch.cat(parts)

    def mean(self, x: Tensor) -> Tensor:
        """Return the mean of a tensor over the workers, without gradient."""
        if self.size > 1:
            x = x.clone()
            distributed.all_reduce(x)
            x /= self.size
        return x
