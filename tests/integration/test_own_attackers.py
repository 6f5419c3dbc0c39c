"""A method's own attackers, with what they get besides the frames, in a score and in a certificate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anon_tune.attackers import AttackerSpec, Fit, Setting
from anon_tune.certificate import Subject
from anon_tune.clips import Clips, ClipSet
from anon_tune.errors import DataError, RecipeError
from anon_tune.evaluation import anonymize_split, certify, count_data, make_baseline, measure
from anon_tune.networks import Anonymizer
from anon_tune.recipe import AuditRecipe, EffortRecipe, EvaluationRecipe
from anon_tune.trial import Ceilings, Score

CPU = torch.device("cpu")
RECIPE = EvaluationRecipe(
    full=EffortRecipe(attackers=("frame", "pixels"), attacker_steps=60, classifier_steps=3), num_bootstraps=20, width=4
)
EFFORT = AuditRecipe(
    attackers=("frame", "pixels"),
    num_seeds=1,
    max_steps=60,
    check_steps=20,
    patience=2,
    classifier_steps=20,
    reconstruction_steps=5,
    num_bootstraps=20,
    width=4,
)


class Black(Anonymizer):
    """An anonymizer with black frames, and a key beside them that holds the clip in a few numbers."""

    def rewrite(self, clips: Tensor) -> Tensor:
        return torch.zeros_like(clips)


def key(anonymizer: Anonymizer, clips: Tensor) -> Mapping[str, Tensor]:
    assert isinstance(anonymizer, Black)
    return {"key": torch.nn.functional.adaptive_avg_pool2d(clips.mean(dim=1), 8)}


class KeyReader(nn.Module):
    """An attacker that reads the key, not the frames."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Linear(3 * 8 * 8, 32), nn.ReLU(), nn.Linear(32, setting.num_attributes))

    def forward(self, clips: Tensor, key: Tensor) -> Tensor:
        logits: Tensor = self.head((key.flatten(1) - 0.5) * 4)
        return logits


class Neighbour:
    """An attacker that trains itself: it predicts the labels of the training clip with the nearest key."""

    def fit(self, train: ClipSet, val: ClipSet, seed: int) -> Fit:
        self.train = train
        return Fit()

    def predict(self, clips: ClipSet) -> NDArray[np.float64]:
        there, here = (one.inputs["key"].reshape(len(one), -1) for one in (self.train, clips))
        nearest = np.linalg.norm(here[:, None] - there[None], axis=2).argmin(axis=1)
        return self.train.private[nearest].astype(np.float64)


KEY_READER = AttackerSpec("key-reader", "reads the key", "a test", KeyReader, inputs=("key",))
NEIGHBOUR = AttackerSpec("neighbour", "the nearest key", "a test", lambda setting: Neighbour(), inputs=("key",))


def scored(clips: Clips, full: bool = True, **options: object) -> Score:
    return measure(Black(), clips, RECIPE, full, Ceilings(0.9, 0.9), CPU, **options)  # type: ignore[arg-type]


def test_a_score_counts_what_the_methods_own_attackers_find(avatars: Clips) -> None:
    alone = scored(avatars)
    both = scored(avatars, extra_attackers=[KEY_READER, NEIGHBOUR, "frame", "motion"], attacker_inputs=key)
    assert alone.leakage.value == pytest.approx(alone.leakage.floor)
    assert list(both.attackers) == ["frame", "pixels", "key-reader", "neighbour", "motion"]
    assert {name: both.attackers[name] for name in alone.attackers} == alone.attackers
    assert both.attackers["key-reader"] > both.leakage.floor + 0.05
    assert both.leakage.value == max(both.attackers.values())
    rung = scored(avatars, full=False, extra_attackers=[KEY_READER], attacker_inputs=key)
    assert list(rung.attackers)[-1] == "key-reader"


def test_an_attacker_that_does_not_get_what_it_needs_is_refused(avatars: Clips) -> None:
    with pytest.raises(DataError, match=r"^attacker 'key-reader': needs key besides the frames, got no key\. Leave"):
        scored(avatars, extra_attackers=[KEY_READER])
    with pytest.raises(RecipeError, match=r"unknown attacker 'key-raeder'\. "):
        scored(avatars, extra_attackers=["key-raeder"], attacker_inputs=key)


def test_a_certificate_counts_them_too(avatars: Clips, tmp_path: Path) -> None:
    def quiet(what: str, done: int, total: int) -> None:
        assert 0 <= done <= total

    raw = {name: avatars.split(name) for name in ("train", "val", "test")}
    baseline = make_baseline(raw, EFFORT, CPU, quiet)
    changed = {n: anonymize_split(Black(), s, tmp_path / n, 16, CPU, key).clips for n, s in raw.items()}
    subject = Subject(kind="method", name="black", method="black", fingerprint="")
    data = count_data(raw, "avatars", avatars.fingerprint, avatars.attributes, avatars.actions)
    own = [KEY_READER, NEIGHBOUR]
    made = certify(raw, changed, baseline, subject, data, EFFORT, CPU, quiet, own)
    starts = [(a.family, a.start) for a in made.attackers if a.family in ("key-reader", "neighbour")]
    assert starts == [("key-reader", "fresh"), ("neighbour", "fresh")]
    assert made.leakage > made.leakage_floor + 0.05
    assert made.leakage == max(a.leakage for a in made.attackers)
    plain = certify(raw, changed, baseline, subject, data, EFFORT, CPU, quiet)
    assert plain.leakage == pytest.approx(plain.leakage_floor)
    assert plain.leakage_ceiling == made.leakage_ceiling


def test_an_audit_needs_a_network(avatars: Clips, monkeypatch: pytest.MonkeyPatch) -> None:
    from anon_tune.attackers import ATTACKERS

    blind = AttackerSpec("blind", "nothing", "a test", lambda setting: Blind(setting.num_attributes))
    monkeypatch.setitem(ATTACKERS.ours, "blind", blind)  # type: ignore[arg-type]
    raw = {name: avatars.split(name) for name in ("train", "val", "test")}
    effort = EFFORT.model_copy(update={"attackers": ("blind",)})
    with pytest.raises(RecipeError, match=r"^audit: 'attackers' must name at least one network, .*, got blind\. Add"):
        make_baseline(raw, effort, CPU, lambda *_: None)


class Blind:
    """An attacker that predicts the same for every clip."""

    def __init__(self, num_attributes: int) -> None:
        self.num_attributes = num_attributes

    def fit(self, train: ClipSet, val: ClipSet, seed: int) -> Fit:
        return Fit()

    def predict(self, clips: ClipSet) -> NDArray[np.float64]:
        return np.zeros((len(clips), self.num_attributes))
