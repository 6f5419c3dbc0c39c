"""Gradients of single units, clipped, added up and noised: what makes a training step differentially private.

Shapes: B clips of a batch, U units of a batch, P parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.modules.batchnorm import _BatchNorm

from anon_tune.errors import RecipeError, cause_of
from anon_tune.networks import Anonymizer, FrameAnonymizer, build_network
from anon_tune.networks.keyed_numbers import KeyedNumbers
from anon_tune.recipe import Recipe

Parameters = Mapping[str, Tensor]
ClipLoss = Callable[..., Tensor]
"""Maps tensors of one clip, without their batch dimension, to the loss of this clip, a scalar."""

_CLIPS_AT_ONCE = 16  # gradients of so many clips are in memory at a time


def check_no_mixing(players: Mapping[str, nn.Module], where: str) -> None:
    """Check that no network mixes the clips of a batch.

    Raises:
        RecipeError: A network normalizes over the batch, so that no gradient belongs to a single clip.
    """
    for player, network in players.items():
        mixing = next((kind for kind in network.modules() if isinstance(kind, _BatchNorm)), None)
        if mixing is not None:
            rule = (
                f"private training ('dp') needs networks that do not mix the clips of a batch; '{player}.network' has"
            )
            remedy = "Choose a network with GroupNorm, such as our own"
            raise RecipeError(where, rule, type(mixing).__name__, remedy)


def check_private_networks(
    recipe: Recipe, anonymizer: Anonymizer, clip_shape: tuple[int, int, int], where: str
) -> None:
    """Check the networks of a private recipe before any training, as `check_no_mixing` does in the trainer.

    Args:
        recipe: The recipe.
        anonymizer: Its anonymizer.
        clip_shape: T, H and W of the clips.
        where: The file that the recipe came from, for error messages.

    Raises:
        RecipeError: A network mixes clips, or the gradients of an anonymizer cannot be taken clip by clip.
    """
    utility = build_network(recipe.utility.model_copy(update={"weights": None}), 2)
    privacy = build_network(recipe.privacy.model_copy(update={"weights": None}), 1)
    check_no_mixing({"anonymizer": anonymizer, "utility": utility, "privacy": privacy}, where)
    if isinstance(anonymizer, FrameAnonymizer):  # which rewrites frames by a network alone
        return
    num_frames, height, width = clip_shape
    clips = torch.zeros(1, num_frames, 3, height, width)
    try:
        with torch.no_grad():
            vmap(lambda clip: anonymizer(clip[None]), randomness="different")(clips)
    except RuntimeError as error:
        rule = "private training ('dp') needs an anonymizer that torch can run on each clip of a batch apart"
        remedy = "Choose another method"
        raise RecipeError(where, rule, f"method '{recipe.method}'", remedy, cause_of(error)) from None


class _Scope(nn.Module):
    """Gives networks a common place, so that their parameters can be replaced for one call."""

    def __init__(self, players: Mapping[str, nn.Module], loss: ClipLoss) -> None:
        super().__init__()
        for name, player in players.items():
            self.add_module(name, player)
        self.loss = loss

    def forward(self, *clip: Tensor) -> Tensor:
        return self.loss(*clip)


def parameters_of(players: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Return the parameters of networks, detached, by ``<network>.<parameter>``."""
    return {
        f"{name}.{key}": parameter.detach()
        for name, player in players.items()
        for key, parameter in player.named_parameters()
    }


def clipped_sum(
    players: Mapping[str, nn.Module],
    loss: ClipLoss,
    clips: tuple[Tensor, ...],
    units: Tensor,
    num_units: int,
    clip_norm: float,
) -> dict[str, Tensor]:
    """Return the sum over units of the clipped gradients of the units, by ``<network>.<parameter>``.

    The gradient of a unit is the mean of those of its clips. It is one vector over all networks together, and is scaled
    so that its norm is at most `clip_norm`. A unit whose gradient is not finite counts as 0. So one unit changes the
    sum by at most `clip_norm`.

    Args:
        players: The networks that learn, by name.
        loss: The loss of one clip, computed from the networks in `players` as they stand.
        clips: Tensors (B,...) that the loss is computed from.
        units: (B,) the unit of each clip, in ascending order.
        num_units: The number U of units.
        clip_norm: Above 0.
    """
    scope, parameters = _Scope(players, loss), parameters_of(players)

    def of_clip(values: dict[str, Tensor], *clip: Tensor) -> Tensor:
        out: Tensor = functional_call(scope, values, clip)
        return out

    of_clips = vmap(grad(of_clip), in_dims=(None, *(0 for _ in clips)), randomness="different")
    total = {name: torch.zeros_like(value) for name, value in parameters.items()}
    with torch.no_grad():
        for rows, first, last in _whole_units(units, num_units):
            gradients: dict[str, Tensor] = of_clips(parameters, *(tensor[rows] for tensor in clips))
            _add_clipped(total, gradients, units[rows] - first, last - first, clip_norm)
    return total


def add_noise(total: Mapping[str, Tensor], deviation: float, expected: float, noise: KeyedNumbers) -> dict[str, Tensor]:
    """Return ``(total + N(0, deviation^2)) / expected`` for every parameter; the noise is drawn on the CPU."""
    return {
        name: (value + deviation * noise.normal(value.shape).to(value.device)) / expected
        for name, value in total.items()
    }


def _add_clipped(
    total: dict[str, Tensor], gradients: Mapping[str, Tensor], units: Tensor, num_units: int, clip_norm: float
) -> None:
    sizes = torch.bincount(units, minlength=num_units).clamp(min=1)
    of_units: dict[str, Tensor] = {}
    for name, gradient in gradients.items():
        summed = gradient.new_zeros(num_units, *gradient.shape[1:]).index_add_(0, units, gradient)
        of_units[name] = summed / sizes.view(-1, *(1 for _ in gradient.shape[1:]))
    norms = torch.stack([g.reshape(len(g), -1).square().sum(dim=1) for g in of_units.values()]).sum(dim=0).sqrt()
    scales = torch.where(norms.isfinite(), (clip_norm / norms).clamp(max=1), torch.zeros_like(norms))
    for name, gradient in of_units.items():
        total[name] += torch.einsum("u,u...->...", scales, gradient.nan_to_num(0, 0, 0))


def _whole_units(units: Tensor, num_units: int) -> Iterator[tuple[slice, int, int]]:
    """Yield rows of clips, and their first unit and the one after their last, so that no unit is divided."""
    sizes = torch.bincount(units, minlength=num_units).tolist()
    start = row = first = 0
    for unit, size in enumerate(sizes):
        if row + size - start > _CLIPS_AT_ONCE and unit > first:
            yield slice(start, row), first, unit
            start, first = row, unit
        row += size
    if row > start:
        yield slice(start, row), first, num_units
