"""Our attackers and networks pass the public checks, and broken ones do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from anon_tune.attackers import ATTACKERS, AttackerSpec, Fit, Setting
from anon_tune.clips import ClipSet
from anon_tune.networks import NETWORKS, NetworkSpec
from anon_tune.recipe import AnonymizerRecipe
from anon_tune.testing.attackers import check_attacker, check_attacker_network
from anon_tune.testing.networks import check_network_spec


class Logistic:
    """An attacker that trains itself: logistic regression on the mean colour."""

    def fit(self, train: ClipSet, val: ClipSet, seed: int) -> Fit:
        self.models = [LogisticRegression(random_state=seed).fit(self.seen(train), y) for y in train.private.T]
        return Fit()

    def predict(self, clips: ClipSet) -> NDArray[np.float64]:
        return np.stack([model.decision_function(self.seen(clips)) for model in self.models], axis=1)

    def seen(self, clips: ClipSet) -> NDArray[np.float64]:
        return np.asarray(clips.frames.mean(axis=(1, 2, 3)))


class Peeking(Logistic):
    def predict(self, clips: ClipSet) -> NDArray[np.float64]:
        return clips.private.astype(np.float64)


class Masked(nn.Module):
    """A network that reads a mask besides the frames."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.head = nn.Linear(4, setting.num_attributes)

    def forward(self, clips: Tensor, mask: Tensor) -> Tensor:
        colours = clips.mean(dim=(1, 3, 4))
        logits: Tensor = self.head(torch.cat([colours, mask.mean(dim=(1, 2)).unsqueeze(1)], dim=1))
        return logits


class Restless(nn.Module):
    """An attacker that predicts something else at every call."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.head = nn.Linear(3, setting.num_attributes)

    def forward(self, clips: Tensor) -> Tensor:
        logits: Tensor = self.head(clips.mean(dim=(1, 3, 4)) + torch.rand(len(clips), 1))
        return logits


def dark(frames: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    return {"mask": (frames.mean(axis=(1, 4)) < 100).astype(np.float32)}


def kept(frames: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    return {"mask": (frames[:, ::2, ::4, ::4].mean(axis=4) < 100).astype(np.float32)}


LOGISTIC = AttackerSpec("logistic", "the mean colour", "scikit-learn", lambda setting: Logistic())


USUAL = [spec for spec in ATTACKERS.ours.values() if not spec.inputs]


@pytest.mark.parametrize("spec", [*USUAL, LOGISTIC], ids=lambda spec: spec.name)
def test_attackers_keep_their_contract(spec: AttackerSpec) -> None:
    check_attacker(spec)


@pytest.mark.parametrize(
    "spec", [ATTACKERS.ours[name] for name in ("frame", "clip", "motion", "pixels")], ids=lambda s: s.name
)
def test_attackers_that_are_networks(spec: AttackerSpec) -> None:
    check_attacker_network(spec)


def test_an_attacker_with_a_mask_keeps_its_contract() -> None:
    check_attacker(AttackerSpec("masked", "frames and a mask", "a test", Masked, inputs=("mask",)), dark)
    check_attacker(ATTACKERS.ours["token-mask"], kept)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (AttackerSpec("peeking", "", "", lambda setting: Peeking()), "must not look at test labels"),
        (AttackerSpec("restless", "", "", Restless), "must be a pure function of its seed"),
    ],
    ids=["peeking", "restless"],
)
def test_an_attacker_that_breaks_its_contract_is_caught(spec: AttackerSpec, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_attacker(spec)


@pytest.mark.parametrize("spec", NETWORKS.ours.values(), ids=lambda spec: spec.name)
def test_networks_keep_their_contract(spec: NetworkSpec) -> None:
    check_network_spec(spec)


def test_a_network_that_leaves_its_range_is_caught() -> None:
    class Loud(nn.Module):
        def forward(self, clips: Tensor) -> Tensor:
            return 2 * clips

    def build(recipe: AnonymizerRecipe) -> nn.Module:
        return Loud()

    spec = replace(NETWORKS.ours["unet_small"], name="loud", anonymizer=build)  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match=r"'loud' must stay in \[0, 1\]"):
        check_network_spec(spec)
