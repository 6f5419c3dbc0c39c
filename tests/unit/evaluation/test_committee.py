from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from torch import nn

from anon_tune.attackers import Fit
from anon_tune.certificate import COMMITTEE
from anon_tune.clips import Clips, ClipSet
from anon_tune.evaluation.committee import weights, with_committees
from anon_tune.evaluation.lab import Attack, Start
from anon_tune.evaluation.metrics import Floats, class_mean_ap, prevalence

Splits = tuple[ClipSet, ClipSet]
STARTS: tuple[tuple[Start, int], ...] = (("fresh", 0), ("fresh", 1), ("raw", 0))


@pytest.fixture
def splits(avatars: Clips) -> Splits:
    return avatars.split("val"), avatars.split("test")


def attack(splits: Splits, family: str, scores: tuple[Floats, Floats], start: Start = "fresh", seed: int = 0) -> Attack:
    val, test = (class_mean_ap(one, split.private) for one, split in zip(scores, splits, strict=True))
    said = {"val": scores[0], "test": scores[1]}
    return Attack(family, start, seed, Fit(step=1), said, {"val": val, "test": test}, nn.Identity())


def knowing(splits: Splits, columns: list[int], scale: float = 1.0) -> tuple[Floats, Floats]:
    """Scores that are right on some attributes and the same for every clip on the others."""
    told = np.zeros(splits[0].private.shape[1])
    told[columns] = scale
    val, test = (split.private * told + 3 for split in splits)
    return val, test


def test_members_that_know_different_attributes_know_all_together(splits: Splits) -> None:
    alone = [
        attack(splits, "frame", knowing(splits, [0, 1, 2], 100)),
        attack(splits, "clip", knowing(splits, [3, 4, 5], 0.01)),
    ]
    *kept, committee = with_committees(alone, *splits)
    assert kept == alone
    assert committee.record.family == COMMITTEE
    assert committee.record.leakage == committee.record.validation == 1
    assert max(one.record.leakage for one in alone) < 0.9
    assert committee.network is max(alone, key=lambda one: one.values["val"]).network


def test_a_member_that_knows_nothing_is_not_heard(splits: Splits) -> None:
    wise = knowing(splits, [0, 1, 2, 3, 4, 5])
    wrong = tuple(-100 * one for one in wise)
    *_, committee = with_committees(
        [attack(splits, "frame", wise), attack(splits, "clip", (wrong[0], wrong[1]))], *splits
    )
    assert committee.record.leakage == 1
    heard = weights([wise[0], wrong[0]], splits[0].private)
    assert (heard[0] > 0).all() and (heard[1] == 0).all()


def test_a_committee_of_blind_members_is_blind(splits: Splits) -> None:
    blind = knowing(splits, [])
    *_, committee = with_committees([attack(splits, family, blind) for family in ("frame", "clip")], *splits)
    assert committee.record.leakage == pytest.approx(prevalence(splits[1].private), abs=1e-12)


def test_there_is_one_for_every_start_and_seed_of_several_families(splits: Splits) -> None:
    scores = knowing(splits, [0])
    alone = [attack(splits, family, scores, start, seed) for family in ("frame", "clip") for start, seed in STARTS]
    rising = replace(alone[0], fit=Fit(step=1, plateau=False))
    lonely = attack(splits, "frame", scores, "frozen", 0)
    made = with_committees([rising, *alone[1:], lonely], *splits)[7:]
    assert [(one.record.start, one.record.seed, one.record.plateau) for one in made] == [
        ("fresh", 0, False),
        ("fresh", 1, True),
        ("raw", 0, True),
    ]


def test_test_labels_have_no_say(splits: Splits) -> None:
    val, test = splits
    rng = np.random.default_rng(0)
    alone = [
        attack(splits, family, (rng.normal(size=val.private.shape), rng.normal(size=test.private.shape)))
        for family in ("frame", "clip", "motion")
    ]
    one, two = (
        with_committees(alone, val, split)[-1].scores["test"]
        for split in (test, replace(test, private=1 - test.private))
    )
    assert (one == two).all()


def test_members_weigh_alike_on_an_attribute_that_no_validation_clip_has(splits: Splits) -> None:
    labels = splits[0].private.copy()
    labels[:, 2] = 0
    wise = knowing(splits, [0, 1, 2, 3, 4, 5])
    heard = weights([wise[0], -wise[0]], labels)
    assert [float(one[2]) for one in heard] == [1, 1]
    assert heard[0][0] > heard[1][0] == 0
