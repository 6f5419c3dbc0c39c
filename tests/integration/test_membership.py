"""The membership attack on private training: what it shows, and that too little noise is caught."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from anon_tune.certificate import Certificate, Membership
from anon_tune.clips import Clips
from anon_tune.evaluation.membership import _AuditedTrainer, _guesses, attack_membership, with_membership
from anon_tune.methods import make_recipe
from anon_tune.networks.keyed_numbers import KeyedNumbers
from anon_tune.recipe import Recipe
from anon_tune.training import private_trainer
from anon_tune.training.private_gradients import add_noise

pytestmark = pytest.mark.trains

CPU = torch.device("cpu")
CERTIFIED = Certificate.model_construct(status="CERTIFIED", reasons=())
VALUES = {
    "anonymizer.base_channels": 4,
    "anonymizer.pretrain_steps": 0,
    "training.num_steps": 4,
    "training.batch_clips": 8,
    "training.warmup_steps": 0,
    "training.num_branch_updates": 1,
    "dp.clip_norm": 1.0,
}


def recipe(**more: object) -> Recipe:
    """A recipe whose epsilon on these clips is 0.196."""
    return make_recipe({**VALUES, "dp.noise_multiplier": 6.0, **more})


def test_the_bound_of_an_attack_stays_below_the_claim(avatars: Clips) -> None:
    found = attack_membership(recipe(), avatars, CPU, num_canaries=32)
    assert found.epsilon == pytest.approx(0.196, abs=1e-3) and found.num_canaries == 32
    assert found.lower_bound < found.epsilon < found.largest_bound and not found.refutes
    made = with_membership(CERTIFIED, found)
    assert made.membership == found and made.status == "CERTIFIED"
    assert Membership.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize("region", ["everything", "persons"])
def test_too_little_noise_is_caught(avatars: Clips, monkeypatch: pytest.MonkeyPatch, region: str) -> None:
    def quiet(total: Mapping[str, Tensor], deviation: float, expected: float, noise: KeyedNumbers) -> dict[str, Tensor]:
        return add_noise(total, deviation / 30, expected, noise)

    monkeypatch.setattr(private_trainer, "add_noise", quiet)
    found = attack_membership(recipe(**{"dp.region": region}), avatars, CPU, num_canaries=32)
    assert found.refutes and found.lower_bound > 0.3
    made = with_membership(CERTIFIED, found)
    assert made.status == "REFUSED"
    assert made.reasons[0].startswith("private training: its epsilon is claimed to be at most 0.196, and a")


def test_a_norm_that_is_not_kept_is_caught(avatars: Clips, monkeypatch: pytest.MonkeyPatch) -> None:
    clipped = private_trainer.clipped_sum

    def loose(*given: object) -> dict[str, Tensor]:
        return clipped(*given[:-1], 30.0)  # type: ignore[arg-type]

    monkeypatch.setattr(private_trainer, "clipped_sum", loose)
    assert attack_membership(recipe(), avatars, CPU, num_canaries=32).refutes


def test_the_start_of_the_recipe_is_imitated_as_in_the_trial(avatars: Clips, monkeypatch: pytest.MonkeyPatch) -> None:
    audited: list[_AuditedTrainer] = []

    def told(trainer: _AuditedTrainer, *_: object) -> None:
        audited.append(trainer)
        raise InterruptedError  # what it would train is not needed

    monkeypatch.setattr(_AuditedTrainer, "begin", told)
    with pytest.raises(InterruptedError):
        attack_membership(
            recipe(**{"anonymizer.start": "black-out", "anonymizer.pretrain_steps": 1}), avatars, CPU, num_canaries=8
        )
    start = audited[0].start
    assert start is not None and not start(torch.rand(1, 4, 3, 16, 20)).any()


def test_guesses_are_the_extremes() -> None:
    inside = np.array([True, True, False, False, True, False, True, False])
    assert _guesses(np.arange(8.0)[::-1].copy(), inside) == [(2, 2), (4, 3)]
    assert _guesses(np.arange(8.0), inside) == [(2, 1), (4, 1)]


def test_canaries_are_units_of_their_own(avatars: Clips) -> None:
    groups = recipe(**{"dp.unit": "groups", "dp.noise_multiplier": 100.0})
    assert attack_membership(groups, avatars, CPU, num_canaries=16).lower_bound == 0
