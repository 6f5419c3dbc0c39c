"""Networks that the lab trains: one training loop for attackers and classifiers, with any stop rule.

Shapes: B clips, N clips of a split, T frames per clip, C channels, H height, W width,
O outputs (attributes or actions).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anon_tune.attackers import Fit
from anon_tune.clips import ClipBatch, ClipSet, epoch_batches, mean_of_windows, one_per_clip
from anon_tune.evaluation.augmentation import AS_THEY_ARE, Augmentation
from anon_tune.evaluation.metrics import class_mean_ap
from anon_tune.evaluation.private_labels import Categories, private_loss, private_scores
from anon_tune.evaluation.stop_rules import StopRule
from anon_tune.evaluation.utility_metric import utility_value
from anon_tune.training.anomaly import ranking_loss

Target = Literal["private", "action", "anomaly"]

_DECIMALS = 5


def fit(
    network: nn.Module,
    train: ClipSet,
    val: ClipSet,
    target: Target,
    rule: StopRule,
    batch_clips: int,
    lr: float,
    seed: int,
    device: torch.device,
    augmentation: Augmentation = AS_THEY_ARE,
    inputs: Sequence[str] = (),
) -> Fit:
    """Train a network in place on a split by the loss of `loss_of`.

    Args:
        network: Trained in place.
        train: What it learns from.
        val: Split on which the stop rule looks at the network; never the split that is reported.
        target: What it learns to predict.
        rule: When training ends.
        batch_clips: Clips per batch.
        lr: Learning rate.
        seed: Seed of the order of clips. All other random numbers come from torch's global generator.
        device: Where to compute.
        augmentation: Random views of the training clips.
        inputs: Names of what the network gets besides the frames.

    Returns:
        How the training ended.
    """

    def look(now: nn.Module) -> float:
        each = one_per_clip(val)
        if target != "private":
            said = predict(now, val, batch_clips, device, inputs).numpy()
            return utility_value(target, mean_of_windows(said, val), each)
        said = score_private(now, val, batch_clips, device, augmentation, inputs).numpy()
        return class_mean_ap(mean_of_windows(said, val), each.private)

    network.to(device).train()
    course = rule.begin(network, lr, look)
    for step, batch in enumerate(endless(train, batch_clips, seed), start=1):
        course.before(step)
        seen = augmentation.view(batch)
        loss = loss_of(network, seen, target, device, inputs, train.categories)
        course.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        course.optimizer.step()
        if not course.after(step):
            break
    return course.end()


def loss_of(
    network: nn.Module,
    batch: ClipBatch,
    target: Target,
    device: torch.device,
    inputs: Sequence[str] = (),
    categories: Categories = (),
) -> Tensor:
    """Return the loss of the target, a scalar with gradient: cross-entropy, `ranking_loss` or `private_loss`."""
    logits = network(batch.clips.to(device), **_given(batch.inputs, inputs, device))
    if target == "action":
        return F.cross_entropy(logits, batch.actions.to(device))
    if target == "anomaly":
        return ranking_loss(logits, batch.actions.to(device))
    return private_loss(logits, batch.private.to(device), categories)


def endless(clips: ClipSet, batch_clips: int, seed: int) -> Iterator[ClipBatch]:
    """Yield shuffled batches, epoch after epoch; a pure function of the seed."""
    for epoch in count():
        yield from epoch_batches(clips, batch_clips, epoch, seed, shuffle=True)


def score_private(
    network: nn.Module,
    clips: ClipSet,
    batch_clips: int,
    device: torch.device,
    augmentation: Augmentation = AS_THEY_ARE,
    inputs: Sequence[str] = (),
) -> Tensor:
    """Return the scores of a network for the private attributes of every clip, (N,A) on the CPU."""
    logits = predict(network, clips, batch_clips, device, inputs, augmentation)
    return private_scores(logits, clips.categories).round(decimals=_DECIMALS)


@torch.no_grad()
def predict(
    network: nn.Module,
    clips: ClipSet,
    batch_clips: int,
    device: torch.device,
    inputs: Sequence[str] = (),
    augmentation: Augmentation = AS_THEY_ARE,
) -> Tensor:
    """Return the logits of every clip of a split in its order, (N,O) on the CPU.

    The last bits of a logit depend on the size of the batch and on the clip's place in it. This noise must not break
    the ties of an attacker that sees nothing. So the last batch is filled up by repeating its clips, and logits are
    rounded to 5 decimals.

    Args:
        augmentation: If it mirrors, the logits of each clip are averaged with those of its mirror image.
    """
    network.eval()
    parts: list[Tensor] = []
    for batch in epoch_batches(clips, batch_clips, 0, 0, shuffle=False):
        rows = torch.arange(batch_clips) % len(batch)
        given = _given({name: batch.inputs[name][rows] for name in inputs}, inputs, device)
        seen = batch.clips[rows].to(device)
        logits = network(seen, **given)
        if augmentation.mirrors:
            logits = (logits + network(seen.flip(-1), **augmentation.mirrored(given))) / 2
        parts.append(logits[: len(batch)].cpu())
    return torch.cat(parts).double().round(decimals=_DECIMALS)


def _given(batch: Mapping[str, Tensor], names: Sequence[str], device: torch.device) -> dict[str, Tensor]:
    return {name: batch[name].to(device) for name in names}
