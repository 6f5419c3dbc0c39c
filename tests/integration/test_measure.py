"""The measurement on real torch: anchors, canaries, and what attackers see."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from anon_tune.clips import Clips, make_avatars
from anon_tune.clips.labels import Labels
from anon_tune.clips.store import StoreWriter
from anon_tune.evaluation import anonymize_split, measure
from anon_tune.evaluation.metrics import prevalence
from anon_tune.methods.black_out.network import BlackOut
from anon_tune.methods.identity.network import Identity
from anon_tune.networks import Anonymizer
from anon_tune.recipe import EffortRecipe, EvaluationRecipe
from anon_tune.trial import Ceilings, Score

pytestmark = pytest.mark.trains

CPU = torch.device("cpu")
FULL = EffortRecipe()
# Every attacker starts from scratch here, with half of a study's steps. Nothing looks at the classifier's accuracy.
ATTACK = EvaluationRecipe(full=EffortRecipe(attacker_steps=FULL.attacker_steps // 2, classifier_steps=1))
QUICK = EvaluationRecipe(
    rung=EffortRecipe(attackers=("frame",), attacker_steps=3, classifier_steps=3),
    full=EffortRecipe(attacker_steps=3, classifier_steps=3),
    num_bootstraps=20,
    width=4,
)


class Negative(Anonymizer):
    """An anonymizer whose output looks unlike the input but hides nothing."""

    def rewrite(self, clips: Tensor) -> Tensor:
        return 1 - clips


class Whisper(Anonymizer):
    """An anonymizer that adds less than half a level, which no video file can hold."""

    def rewrite(self, clips: Tensor) -> Tensor:
        return clips + (torch.rand_like(clips) - 0.5) * (0.98 / 255)


class Keeper(Anonymizer):
    """The identity, which also remembers the clips that it got."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[bool, Tensor]] = []

    def rewrite(self, clips: Tensor) -> Tensor:
        self.seen.append((self.training, clips))
        return clips


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    """The built-in clips at their own size."""
    return make_avatars(tmp_path_factory.mktemp("clips") / "people")


@pytest.fixture(scope="module")
def raw(people: Clips) -> Score:
    return measure(Identity(), people, ATTACK, full=True, ceilings=None, device=CPU)


def ceilings_of(score: Score) -> Ceilings:
    return Ceilings(score.leakage.value, score.accuracy.value)


def test_raw_clips_leak_all_there_is(people: Clips, raw: Score) -> None:
    assert raw.leakage.value == raw.leakage.ceiling
    assert raw.leakage.normalized == 1
    assert raw.leakage.value > 0.9
    assert raw.distortion == 0
    assert raw.leakage.low <= raw.leakage.value <= raw.leakage.high
    assert raw.leakage.value == max(raw.attackers.values())
    assert list(raw.attackers) == ["frame", "clip", "motion", "pixels", "committee"]
    assert list(raw.attributes) == list(people.attributes)
    assert math.isclose(float(np.mean(list(raw.attributes.values()))), raw.leakage.value)
    assert (raw.num_train_clips, raw.num_test_clips) == (480, 240)


def test_canary_a_negative_hides_nothing(people: Clips, raw: Score) -> None:
    score = measure(Negative(), people, ATTACK, full=True, ceilings=ceilings_of(raw), device=CPU)
    assert score.leakage.normalized >= 0.9
    assert score.distortion > 0.3


def test_canary_labels_that_mean_nothing_score_at_the_floor(people: Clips, raw: Score, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with StoreWriter(tmp_path / "shuffled", people.shape) as writer:
        for name in ("train", "val", "test"):
            split = people.split(name)
            private = rng.permuted(split.private, axis=0)  # each attribute by itself: the floor stays
            for row, (clip, group) in enumerate(zip(split.ids, split.groups, strict=True)):
                action, values = people.actions[split.actions[row]], tuple(map(bool, private[row]))
                writer.add(Labels(clip, "", name, group, action, values), split.frames[row])
        shuffled = writer.finish(people.attributes, people.fps, "shuffled")
    score = measure(Identity(), shuffled, ATTACK, full=True, ceilings=ceilings_of(raw), device=CPU)
    assert score.leakage.floor == pytest.approx(raw.leakage.floor)
    assert score.leakage.low <= score.leakage.floor <= score.leakage.high
    assert abs(score.leakage.normalized) < 0.2


@pytest.mark.parametrize("full", [False, True])
def test_black_out_is_at_the_floor(avatars: Clips, full: bool) -> None:
    score = measure(BlackOut(), avatars, QUICK, full, Ceilings(0.9, 0.9), CPU)
    split = avatars.split("test" if full else "val")
    assert score.leakage.floor == pytest.approx(prevalence(split.private))
    assert abs(score.leakage.value - score.leakage.floor) < 1e-9
    assert all(abs(value - score.leakage.floor) < 1e-9 for value in score.attackers.values())
    assert score.accuracy.low <= score.accuracy.floor <= score.accuracy.high
    raw = split.clips(range(len(split)))
    assert score.distortion == pytest.approx(float(raw.flatten(1).square().mean(1).sqrt().mean()), rel=1e-5)


def test_a_rung_score_is_cheaper_and_reads_the_validation_split_only(avatars: Clips) -> None:
    keeper = Keeper()
    score = measure(keeper, avatars, QUICK, full=False, ceilings=Ceilings(0.9, 0.8), device=CPU)
    assert not score.full
    assert list(score.attackers) == ["frame"]
    assert score.num_test_clips == len(avatars.split("val"))
    assert (score.leakage.value, score.accuracy.value) == (score.leakage.validation, score.accuracy.validation)
    assert 0 < score.seconds_per_frame < score.seconds
    assert (score.leakage.ceiling, score.accuracy.ceiling) == (0.9, 0.8)
    assert sum(len(clips) for _, clips in keeper.seen) == len(avatars.split("train")) + len(avatars.split("val"))
    assert not any(training for training, _ in keeper.seen)


def test_a_full_score_keeps_both_splits_apart(avatars: Clips) -> None:
    score = measure(Identity(), avatars, QUICK, full=True, ceilings=None, device=CPU)
    assert score.full
    assert score.num_test_clips == len(avatars.split("test"))
    assert score.leakage.validation != score.leakage.value
    assert 0 < score.seconds_per_frame < score.seconds
    assert score.leakage.value == max(score.attackers.values())


def test_a_measurement_is_a_pure_function_of_clips_and_seed(avatars: Clips) -> None:
    def scored(recipe: EvaluationRecipe, disturb: int) -> Score:
        torch.manual_seed(disturb)
        before = torch.random.get_rng_state()
        score = measure(Identity(), avatars, recipe, full=True, ceilings=None, device=CPU)
        assert torch.equal(torch.random.get_rng_state(), before)
        return replace(score, seconds=0.0, seconds_per_frame=0.0)

    other = QUICK.model_copy(update={"seed": 1})
    assert scored(QUICK, 1) == scored(QUICK, 2)
    assert scored(QUICK, 1).attackers != scored(other, 1).attackers


def test_only_the_anonymizers_own_time_counts(avatars: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("anon_tune.evaluation.score.time.perf_counter", lambda: clock[0])

    class Slow(Identity):
        def rewrite(self, clips: Tensor) -> Tensor:
            clock[0] += 0.5
            return clips

    split = avatars.split("val")
    made = anonymize_split(Slow(), split, tmp_path / "val", 5, CPU)
    assert made.seconds == 0.5 * math.ceil(len(split) / 5)


def test_attackers_see_what_a_file_could_carry(avatars: Clips, tmp_path: Path) -> None:
    split = avatars.split("val")
    torch.manual_seed(0)
    made = {
        name: anonymize_split(anonymizer, split, tmp_path / name, 5, CPU)
        for name, anonymizer in {"identity": Identity(), "whisper": Whisper(), "negative": Negative()}.items()
    }
    for one in made.values():
        assert one.clips.frames.dtype == np.uint8
        assert one.clips.frames.shape == split.frames.shape
        assert one.clips.ids == split.ids
    assert (made["identity"].clips.frames == split.frames).all()
    assert (made["whisper"].clips.frames == split.frames).all()
    assert (made["negative"].clips.frames == 255 - split.frames).all()
    assert (made["identity"].distortion, made["whisper"].distortion) == (0, 0)
    difference = (255 - 2.0 * split.frames) / 255
    expected = np.sqrt((difference**2).mean(axis=(1, 2, 3, 4))).mean()
    assert made["negative"].distortion == pytest.approx(expected, rel=1e-5)


def test_a_measurement_leaves_no_file_behind(avatars: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    measure(Identity(), avatars, QUICK, full=False, ceilings=None, device=CPU)
    assert list(tmp_path.iterdir()) == []
