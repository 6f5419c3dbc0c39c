"""Checks that every network must pass.

Shapes: B clips, N frames, T frames per clip, C channels, H height, W width, K actions, A private attributes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from anon_tune.networks import NetworkSpec
from anon_tune.recipe import AnonymizerRecipe, PrivacyRecipe, UtilityRecipe

_ACTIONS, _ATTRIBUTES = 5, 3


def check_network_spec(spec: NetworkSpec) -> None:
    """Check a network in every role that it can have: anonymizer, utility network, privacy branch.

    Its outputs have the right shape and range, a gradient reaches its weights, the seed decides its fresh weights, and
    another network with the same weights gives the same outputs.

    Args:
        spec: The spec of the network.

    Raises:
        AssertionError: The network breaks its contract.

    Example:
        >>> from anon_tune.networks import NETWORKS
        >>> check_network_spec(NETWORKS.ours["small3d"])
    """
    assert spec.kinds, f"'{spec.name}' must have a role: anonymizer, utility or privacy"
    if (anonymizer := spec.anonymizer) is not None:
        _check_anonymizer(spec.name, lambda: anonymizer(AnonymizerRecipe(network=spec.name)))
    if (utility := spec.utility) is not None:
        clips = torch.rand(2, 4, 3, 16, 20)
        _check_outputs(spec.name, lambda: utility(UtilityRecipe(network=spec.name), _ACTIONS), clips, _ACTIONS)
        built = utility(UtilityRecipe(network=spec.name), _ACTIONS)
        assert built.features(clips).dim() == 5, f"'{spec.name}' must return features (B,D,t,h,w)"
    if (privacy := spec.privacy) is not None:
        frames = torch.rand(4, 3, 32, 40)
        _check_outputs(spec.name, lambda: privacy(PrivacyRecipe(network=spec.name), _ATTRIBUTES), frames, _ATTRIBUTES)
        embeds = privacy(PrivacyRecipe(network=spec.name, head="nt_xent"), _ATTRIBUTES).eval()
        with torch.no_grad():
            lengths = embeds(frames).norm(dim=1)
        torch.testing.assert_close(lengths, torch.ones(4), msg=f"'{spec.name}' must embed frames as unit vectors")


def _check_anonymizer(name: str, build: Callable[[], nn.Module]) -> None:
    clips = torch.rand(2, 4, 3, 18, 21)
    network = _seeded(build)
    out = network(clips)
    assert out.shape == clips.shape, f"'{name}' must keep the shape of clips (B,T,3,H,W)"
    assert bool(((out >= 0) & (out <= 1)).all()), f"'{name}' must stay in [0, 1]"
    _check_weights(name, build, network, clips)


def _check_outputs(name: str, build: Callable[[], nn.Module], given: Tensor, num_outputs: int) -> None:
    network = _seeded(build)
    assert network(given).shape == (len(given), num_outputs), f"'{name}' must return {num_outputs} logits"
    _check_weights(name, build, network, given)


def _check_weights(name: str, build: Callable[[], nn.Module], network: nn.Module, given: Tensor) -> None:
    network.train()(given).square().sum().backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters()), (
        f"'{name}' must pass a gradient to its weights"
    )
    twin, other = _seeded(build).eval(), build().eval()
    fresh = _seeded(build).eval()
    with torch.no_grad():
        assert torch.equal(twin(given), fresh(given)), f"the seed must decide the fresh weights of '{name}'"
        other.load_state_dict(fresh.state_dict())
        assert torch.equal(other(given), fresh(given)), f"'{name}' must give the same outputs with the same weights"


def _seeded(build: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return build()
