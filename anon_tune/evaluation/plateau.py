"""Training until a validation curve stops to rise: no attacker may look weak because it was stopped early.

Shapes: B clips, T frames a clip, C channels, H height, W width, O outputs.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import torch
from torch import Tensor, nn, optim

from anon_tune.clips import ClipSet
from anon_tune.evaluation.attackers import Target, endless, loss_of, predict, shifted
from anon_tune.evaluation.metrics import class_mean_ap, top1
from anon_tune.recipe import AuditRecipe

MIN_RISE = 0.005
"""A validation curve rises where it gains more than this; less is noise."""

_WARMUP_STEPS = 20
_MEMORY = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """What training until a plateau gave.

    Attributes:
        weights: The averaged weights at the best look, on the CPU.
        step: Of that look.
        plateau: False if the curve still rose when the steps ran out.
        curve: Step and validation value of every look; cMAP or top-1.
    """

    weights: Mapping[str, Tensor]
    step: int
    plateau: bool
    curve: tuple[tuple[int, float], ...]


def fit_until_plateau(
    network: nn.Module,
    train: ClipSet,
    val: ClipSet,
    target: Target,
    max_steps: int,
    effort: AuditRecipe,
    seed: int,
    device: torch.device,
    shift: int = 0,
) -> Fit:
    """Train on one split until the value on another has stopped to rise; leave the best weights in the network.

    The learning rate warms up and then stays, as there is no end to anneal towards; a running mean of
    the weights takes the place of annealing, and is what is looked at and kept. The best look is the one
    of the largest value, the last of equals. Training ends when ``patience`` looks in a row have not raised
    the curve by more than `MIN_RISE`.

    Args:
        network: Trained in place.
        train: What it learns from.
        val: What it is looked at on; never the split that is reported.
        target: Private attributes (BCE, cMAP) or actions (cross-entropy, top-1).
        max_steps: Optimizer steps without a plateau.
        effort: check_steps, patience, batch_clips and lr.
        seed: Of the order of clips. Draws of the network come from torch's own generator.
        device: Where to compute.
        shift: What it learns from is shifted at random, at most by so many pixels.

    Source:
        Polyak and Juditsky, SIAM J. Control Optim. 30 (1992): averaged weights; ours forget exponentially.
    """
    network.to(device).train()
    average = copy.deepcopy(network)
    pairs = list(zip(average.parameters(), network.parameters(), strict=True))
    optimizer = optim.Adam(network.parameters(), lr=effort.lr, fused=True)
    curve: list[tuple[int, float]] = []
    best: tuple[float, int, dict[str, Tensor]] | None = None
    level, waited = -1.0, 0
    for step, batch in enumerate(islice(endless(train, effort.batch_clips, seed), max_steps), start=1):
        for group in optimizer.param_groups:
            group["lr"] = effort.lr * min(1.0, step / _WARMUP_STEPS)
        seen = replace(batch, clips=shifted(batch.clips, shift)) if shift else batch
        loss = loss_of(network, seen, target, device)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        _follow(pairs, step)
        if step % effort.check_steps and step != max_steps:
            continue
        value = _look(average, val, target, effort.batch_clips, device)
        curve.append((step, value))
        if best is None or value >= best[0]:
            best = value, step, {k: v.detach().cpu().clone() for k, v in average.state_dict().items()}
        level, waited = (value, 0) if value > level + MIN_RISE else (level, waited + 1)
        if waited >= effort.patience:
            break
    assert best is not None
    network.load_state_dict(best[2])
    return Fit(best[2], best[1], waited >= effort.patience, tuple(curve))


@torch.no_grad()
def _follow(pairs: Sequence[tuple[Tensor, Tensor]], step: int) -> None:
    """Move running means towards weights; early on they forget faster, as the first weights are poor."""
    share = max(1 - _MEMORY, 9 / (9 + step))
    for mean, now in pairs:
        mean.lerp_(now, share)


def _look(network: nn.Module, val: ClipSet, target: Target, batch_clips: int, device: torch.device) -> float:
    scores = predict(network, val, batch_clips, device).numpy()
    return class_mean_ap(scores, val.private) if target == "private" else top1(scores, val.actions)
