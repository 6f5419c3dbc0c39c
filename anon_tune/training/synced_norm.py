"""Batch normalization over the batches of all workers of a trial, on any device.

Shapes: N entries, C channels, and any sizes after these.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm


class _Sum(torch.autograd.Function):
    """The sum of a tensor over all workers. Its gradient is the sum of the workers' gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        distributed.all_reduce(total)
        return total


class SyncedNorm(_BatchNorm):
    """A BatchNorm whose statistics in training are those of all workers' parts of a batch, which have equal sizes.

    In eval mode it is a usual BatchNorm. Torch has the same for GPUs only.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        pass

    def forward(self, input: Tensor) -> Tensor:
        """Normalize (N,C,...)."""
        if not self.training:
            settled: Tensor = super().forward(input)
            return settled
        x = input if input.dtype == torch.float64 else input.float()
        others = [0, *range(2, x.dim())]
        size = distributed.get_world_size()
        mean = _Sum.apply(x.mean(others)) / size
        centred = x - mean.view(-1, *[1] * (x.dim() - 2))
        variance = _Sum.apply(centred.square().mean(others)) / size
        if self.running_mean is not None and self.running_var is not None and self.momentum is not None:
            num = size * x.numel() // x.shape[1]
            self.running_mean.lerp_(mean.detach(), self.momentum)
            self.running_var.lerp_(variance.detach() * (num / max(num - 1, 1)), self.momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked += 1
        scale = (variance + self.eps).rsqrt()
        if self.affine:
            scale = scale * self.weight
        out = centred * scale.view(-1, *[1] * (x.dim() - 2))
        if self.affine:
            out = out + self.bias.view(-1, *[1] * (x.dim() - 2))
        shown: Tensor = out.to(input.dtype)
        return shown


def synchronize(*modules: nn.Module) -> None:
    """Let every BatchNorm inside modules normalize over all workers. Tensors keep their names."""
    for module in modules:
        _synchronize(module)


def _synchronize(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm) and not isinstance(child, SyncedNorm):
            affine, follows = child.affine, child.track_running_stats
            synced = SyncedNorm(child.num_features, child.eps, child.momentum, affine, follows)
            synced.load_state_dict(child.state_dict())
            synced.train(child.training)
            held = next(tensor for tensor in child.state_dict().values() if tensor.is_floating_point())
            setattr(module, name, synced.to(held.device, held.dtype))
        else:
            _synchronize(child)
