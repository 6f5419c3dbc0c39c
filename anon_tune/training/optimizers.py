"""The optimizers of the game, and the numbers that their networks are computed in."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn, optim

from anon_tune.errors import RecipeError
from anon_tune.recipe import TrainingRecipe

_FIRST_LR = 1e-3  # the schedules of the recipe replace it before the first update


def build_optimizers(players: Mapping[str, Sequence[nn.Module]], recipe: TrainingRecipe) -> dict[str, optim.Optimizer]:
    """Return the optimizer of every player by name, and give the player's weights the form that the recipe says."""
    made = {}
    for name, modules in players.items():
        weights = [weight for module in modules for weight in module.parameters()]
        if recipe.channels_last:
            channels_last(weights)
        made[name] = build_optimizer(weights, recipe, beta=0.5 if name == "anonymizer" else 0.9)
    return made


def build_optimizer(weights: Sequence[nn.Parameter], recipe: TrainingRecipe, beta: float) -> optim.Optimizer:
    """Return the optimizer that a recipe names, for some weights.

    Args:
        weights: What it trains.
        recipe: Which optimizer, its weight decay and momentum, and whether it updates all weights in one pass.
        beta: Decay of the mean gradient in Adam and AdamW.
    """
    fused = True if recipe.fused else None
    if recipe.optimizer == "sgd":
        decay = recipe.weight_decay
        return optim.SGD(weights, lr=_FIRST_LR, momentum=recipe.momentum, weight_decay=decay, fused=fused)
    kind = optim.AdamW if recipe.optimizer == "adamw" else optim.Adam
    return kind(weights, lr=_FIRST_LR, betas=(beta, 0.999), weight_decay=recipe.weight_decay, fused=fused)


def set_rates(optimizers: Mapping[str, optim.Optimizer], rates: Mapping[str, float]) -> None:
    """Set the learning rates of optimizers, by the name of their player."""
    for name, rate in rates.items():
        for group in optimizers[name].param_groups:
            group["lr"] = rate


def check_precision(precision: str, device: torch.device) -> None:
    """Check that a device can compute in a precision.

    Raises:
        RecipeError: It cannot.
    """
    lacks = device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False)
    if precision == "bfloat16" and (lacks or device.type not in ("cpu", "cuda")):
        rule = f"'training.precision' must be one that the device {device} has"
        raise RecipeError("recipe", rule, precision, "Set it to float32")


def check_compiler(device: torch.device) -> None:
    """Check that networks can be compiled for a device.

    Raises:
        RecipeError: They cannot: torch.compile writes C++ for a CPU.
    """
    compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    if device.type == "cpu" and shutil.which(compiler) is None:
        rule = f"'training.compile' needs a C++ compiler, and there is no program {compiler}"
        raise RecipeError("recipe", rule, remedy="Install one, name one in CXX, or set training.compile to false")


def lowered(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which networks compute in a precision. Losses are computed in float32 in any case."""
    if precision == "float32":
        return nullcontext()
    # Without the cache: it would keep casts that were made without gradient, and use them where a gradient is needed.
    return torch.autocast(device.type, dtype=torch.bfloat16, cache_enabled=False)


def channels_last(weights: Iterable[nn.Parameter]) -> None:
    """Store the weights of convolutions with their channels last, as fast routines of GPUs and CPUs want them."""
    for weight in weights:
        if weight.dim() in (4, 5):
            form = torch.channels_last if weight.dim() == 4 else torch.channels_last_3d
            weight.data = weight.data.to(memory_format=form)
