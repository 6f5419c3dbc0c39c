"""Checks that every attacker must pass.

Shapes: N clips, B clips of a batch, T frames per clip, C channels, H height, W width, A private attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from anon_tune.attackers import AttackerSpec, Setting
from anon_tune.clips import ClipSet
from anon_tune.evaluation import Effort, FixedSteps, Lab

_ATTRIBUTES, _SHAPE, _WIDTH = 3, (4, 16, 20), 8

Inputs = Callable[[NDArray[np.uint8]], Mapping[str, NDArray[np.float32]]]
"""Returns what an attacker gets besides the frames (N,T,H,W,C): arrays by name, with one row per clip, (N,...)."""


def check_attacker(spec: AttackerSpec, inputs: Inputs | None = None) -> None:
    """Check that an attacker keeps its contract.

    It maps clips to finite scores of the right shape. It gives clips that look the same the same scores. Its scores
    depend only on its seed and the clips, and not on labels of the clips that it scores.

    Args:
        spec: The spec of the attacker.
        inputs: Returns what the attacker gets besides the frames; None if it gets nothing else.

    Raises:
        AssertionError: The attacker breaks its contract.

    Example:
        >>> from anon_tune.attackers import find
        >>> check_attacker(find("pixels"))
    """
    splits = {name: _clips(seed, inputs) for seed, name in enumerate(("train", "val", "test"))}
    one, two = (_attack(spec, splits) for _ in range(2))
    for name in ("val", "test"):
        scores = one[name]
        assert scores.shape == splits[name].private.shape, f"'{spec.name}' must return scores (N,A)"
        assert np.isfinite(scores).all(), f"'{spec.name}' must return finite scores"
        assert (scores == two[name]).all(), f"'{spec.name}' must be a pure function of its seed and its clips"
    hidden = splits | {"test": replace(splits["test"], private=1 - splits["test"].private)}
    assert (_attack(spec, hidden)["test"] == one["test"]).all(), f"'{spec.name}' must not look at test labels"
    same = {name: replace(s, frames=np.repeat(s.frames[:1], len(s), axis=0)) for name, s in splits.items()}
    same = {name: _with_inputs(s, inputs) for name, s in same.items()}
    blind = _attack(spec, same)["test"]
    assert (blind == blind[:1]).all(), f"'{spec.name}' must score clips that look the same alike"


def check_attacker_network(spec: AttackerSpec) -> None:
    """Check an attacker that is a network and gets nothing besides the frames.

    It takes clips of any length in training and in evaluation mode, a gradient reaches its weights, and its weights can
    be saved and loaded.

    Args:
        spec: The spec of the attacker.

    Raises:
        AssertionError: The attacker breaks its contract.
    """
    torch.manual_seed(0)
    network, other = (spec.build(Setting(_ATTRIBUTES, _WIDTH, _SHAPE)) for _ in range(2))
    assert isinstance(network, nn.Module) and isinstance(other, nn.Module), f"'{spec.name}' must be a network"
    for num_frames in (1, 2, 5):
        clips = torch.rand(2, num_frames, 3, *_SHAPE[1:])
        for training in (True, False):
            logits = network.train(training)(clips)
            assert logits.shape == (2, _ATTRIBUTES), f"'{spec.name}' must map clips (B,T,C,H,W) to logits (B,A)"
    network(torch.rand(2, _SHAPE[0], 3, *_SHAPE[1:])).sum().backward()
    assert any(p.grad is not None for p in network.parameters()), f"'{spec.name}' must have weights that can learn"
    other.load_state_dict(network.state_dict())
    clips = torch.rand(2, _SHAPE[0], 3, *_SHAPE[1:])
    with torch.no_grad():
        same = torch.equal(network.eval()(clips), other.eval()(clips))
    assert same, f"'{spec.name}' must be the same network once its weights are loaded"


def _attack(spec: AttackerSpec, splits: Mapping[str, ClipSet]) -> Mapping[str, NDArray[np.float64]]:
    effort = Effort((spec,), FixedSteps(5), FixedSteps(5), batch_clips=8, lr=3e-3, width=_WIDTH, seed=0)
    return Lab(splits, effort, torch.device("cpu")).attack(spec, "fresh", seed=1).scores


def _clips(seed: int, inputs: Inputs | None) -> ClipSet:
    """Make clips whose first attribute is their brightness; the other attributes are random."""
    rng = np.random.default_rng(seed)
    private = rng.permuted(np.tile(np.array([[0], [1]], np.uint8), (6, _ATTRIBUTES)), axis=0)
    frames = rng.integers(0, 128, (len(private), *_SHAPE, 3)) + 100 * private[:, 0].reshape(-1, 1, 1, 1, 1)
    ids = tuple(f"{seed}-{at}" for at in range(len(private)))
    actions = np.arange(len(private), dtype=np.int64) % 2
    return _with_inputs(ClipSet(frames.astype(np.uint8), actions, private, ids, ids), inputs)


def _with_inputs(clips: ClipSet, inputs: Inputs | None) -> ClipSet:
    return clips if inputs is None else replace(clips, inputs=inputs(clips.frames))
