"""An independent attacker, written here, must not find much more leakage than the certificate says."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn, optim
from torch.nn import functional as F

from anon_tune.certificate import Subject
from anon_tune.clips import Clips, ClipSet, make_avatars
from anon_tune.evaluation import Baseline, anonymize_split, certify, class_mean_ap, count_data, make_baseline
from anon_tune.methods import build_anonymizer, make_recipe
from anon_tune.networks import Anonymizer
from anon_tune.recipe import AuditRecipe, Recipe
from anon_tune.training import Trainer

pytestmark = pytest.mark.trains

CPU = torch.device("cpu")
EFFORT = AuditRecipe(
    num_seeds=1,
    max_steps=120,
    check_steps=30,
    patience=4,
    classifier_steps=40,
    reconstruction_steps=10,
    num_bootstraps=100,
)
STEPS = 200


class Residual(nn.Module):
    """Two 3x3 convolutions with BatchNorm beside a 1x1, at half the resolution."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(a, b, 3, 2, 1, bias=False),
            nn.BatchNorm2d(b),
            nn.ReLU(),
            nn.Conv2d(b, b, 3, 1, 1, bias=False),
            nn.BatchNorm2d(b),
        )
        self.side = nn.Conv2d(a, b, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.side(x))


class Recurrent(nn.Module):
    """A residual network on frames and their differences, and a GRU over them."""

    def __init__(self, num_outputs: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.BatchNorm2d(6), Residual(6, 24), Residual(24, 48), nn.AdaptiveAvgPool2d(3))
        self.memory = nn.GRU(48 * 9, 64, batch_first=True)
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(64, num_outputs))

    def forward(self, clips: Tensor) -> Tensor:
        moves = torch.cat([torch.zeros_like(clips[:, :1]), clips[:, 1:] - clips[:, :-1]], dim=1)
        seen = self.trunk(torch.cat([clips, moves], dim=2).flatten(0, 1)).flatten(1)
        states, _ = self.memory(seen.unflatten(0, clips.shape[:2]))
        logits: Tensor = self.head(states.mean(dim=1))
        return logits


def independent_leakage(changed: dict[str, ClipSet]) -> float:
    """Train with SGD and a cosine schedule, keep the epoch that is best on validation, and score it on test."""
    torch.manual_seed(11)
    train, val, test = (changed[name] for name in ("train", "val", "test"))
    network = Recurrent(train.private.shape[1])
    optimizer = optim.SGD(network.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    rng = np.random.default_rng(11)

    def read(split: ClipSet) -> float:
        network.eval()
        with torch.no_grad():
            logits = torch.cat([network(split.clips(rows)) for rows in np.array_split(np.arange(len(split)), 4)])
        network.train()
        return class_mean_ap(logits.double().numpy(), split.private)

    looks = []
    for step in range(1, STEPS + 1):
        rows = rng.choice(len(train), 24, replace=False)
        loss = F.binary_cross_entropy_with_logits(
            network(train.clips(rows)), torch.from_numpy(train.private[rows]).float()
        )
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            looks.append((read(val), read(test)))
    return max(looks)[1]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    directory = tmp_path_factory.mktemp("clips") / "people"
    return make_avatars(directory, num_train=192, num_val=96, num_test=128, num_frames=4, height=16, width=16)


@pytest.fixture(scope="module")
def raw(people: Clips) -> dict[str, ClipSet]:
    return {name: people.split(name) for name in ("train", "val", "test")}


@pytest.fixture(scope="module")
def baseline(raw: dict[str, ClipSet]) -> Baseline:
    return make_baseline(raw, EFFORT, CPU, lambda *_: None)


def trained(people: Clips) -> Anonymizer:
    recipe = make_recipe({"training.num_steps": 100, "penalty.threshold": 0.3, "training.seed": 1})
    trainer = Trainer(
        recipe,
        partial(build_anonymizer, recipe),
        people.split("train"),
        len(people.actions),
        len(people.attributes),
        CPU,
    )
    trainer.train_until(100)
    return trainer.anonymizer


@pytest.mark.parametrize("method", ["frame-difference", "adversarial"])
def test_an_independent_attacker_finds_little_more(
    people: Clips, raw: dict[str, ClipSet], baseline: Baseline, tmp_path: Path, method: str
) -> None:
    assert all(canary.passed for canary in baseline.canaries)
    anonymizer = trained(people) if method == "adversarial" else build_anonymizer(Recipe(method=method))
    changed = {n: anonymize_split(anonymizer, s, tmp_path / n, 16, CPU).clips for n, s in raw.items()}
    data = count_data(raw, "avatars", people.fingerprint, people.attributes, people.actions)
    subject = Subject(kind="method", name=method, method=method, fingerprint="")
    certified = certify(raw, changed, baseline, subject, data, EFFORT, CPU, lambda *_: None)
    found = independent_leakage(changed)
    print(f"{method}: certified {certified.leakage:.3f}, floor {certified.leakage_floor:.3f}, independent {found:.3f}")
    assert found > certified.leakage_floor + 0.02  # it is an attacker at all
    assert found <= certified.leakage + 0.05
