"""Averages gradients over the workers of a trial in buckets, while the backward pass still computes other gradients."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, distributed
from torch.nn import Parameter


class GradientBuckets:
    """Gradients in buckets. A bucket is sent to the other workers as soon as its last gradient is there.

    Buckets are filled in the reverse order of the weights, in which a backward pass makes their gradients, and are sent
    in one order by all workers.

    Args:
        parameters: The weights whose gradients are averaged.
        size: Number of workers.
        bucket_bytes: Size of a bucket, above 0.
    """

    def __init__(self, parameters: Iterable[Parameter], size: int, bucket_bytes: int) -> None:
        self._size = size
        self._buckets: list[list[Parameter]] = [[]]
        self._place: dict[Parameter, int] = {}
        filled = 0
        for parameter in reversed(list(parameters)):
            if filled >= bucket_bytes:
                self._buckets.append([])
                filled = 0
            self._buckets[-1].append(parameter)
            self._place[parameter] = len(self._buckets) - 1
            filled += parameter.numel() * parameter.element_size()
            parameter.register_post_accumulate_grad_hook(self._arrived)
        self._open = False
        self._missing: list[int] = []
        self._sent: list[tuple[list[Tensor], Tensor, distributed.Work]] = []

    def open(self) -> None:
        """Begin to send: the next backward pass is the last one before the update."""
        self._open, self._sent = True, []
        self._missing = [len(bucket) for bucket in self._buckets]

    def close(self) -> None:
        """Send what is left, wait for the other workers, and replace every gradient by its mean."""
        while len(self._sent) < len(self._buckets):
            self._send()
        for gradients, total, work in self._sent:
            work.wait()
            means = (total / self._size).split([gradient.numel() for gradient in gradients])
            for gradient, mean in zip(gradients, means, strict=True):
                gradient.copy_(mean.view_as(gradient))
        self._open = False

    def _arrived(self, parameter: Tensor) -> None:
        if not self._open:
            return
        self._missing[self._place[parameter]] -= 1  # type: ignore[index]
        while len(self._sent) < len(self._buckets) and self._missing[len(self._sent)] == 0:
            self._send()

    def _send(self) -> None:
        bucket = self._buckets[len(self._sent)]
        gradients = [parameter.grad for parameter in bucket if parameter.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients]) if gradients else torch.zeros(1)
        work = distributed.all_reduce(flat, async_op=True)
        assert work is not None
        self._sent.append((gradients, flat, work))
