"""Actions from one store and private attributes from stills of another: what each network sees, resuming, errors."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from anon_tune.clips import Clips
from anon_tune.clips.labels import Labels
from anon_tune.clips.store import StoreWriter
from anon_tune.commands.study import make_body
from anon_tune.commands.study_clips import find_stills
from anon_tune.errors import RecipeError
from anon_tune.folder import Folder
from anon_tune.methods import build_anonymizer, make_recipe
from anon_tune.recipe import Recipe
from anon_tune.search import SearchSpace
from anon_tune.study import StudySettings, load_study
from anon_tune.study.frozen_study import freeze_study
from anon_tune.training import Trainer
from anon_tune.trial import Ceilings, RungJob
from anon_tune.worker import ClipTrialBody
from anon_tune.worker.job import perform

pytestmark = pytest.mark.trains

CPU = torch.device("cpu")
Build = Callable[..., Recipe]
VIEWS = {"privacy.head": "nt_xent", "training.crop": 0.5}


def write_stills(path: Path, seed: int = 0, num_attributes: int = 2) -> Clips:
    """Write photographs of 12 x 14 pixels, not the clips' size: bright or dark, and more labels by chance."""
    draw = np.random.default_rng(seed)
    with StoreWriter(path, (1, 12, 14, 3)) as writer:
        for at in range(24):
            pixels = draw.integers(0, 60, (1, 12, 14, 3)) + (190 if at % 2 else 0)
            private = (bool(at % 2), *(bool(draw.integers(2)) for _ in range(num_attributes - 1)))
            split = "test" if at >= 20 else "train"
            writer.add(Labels(f"photo-{at}", "", split, f"photo-{at}", "still", private), pixels.astype(np.uint8))
        return writer.finish(tuple(f"label-{k}" for k in range(num_attributes)), 1.0, "photographs")


@pytest.fixture(scope="module")
def stills(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    return write_stills(tmp_path_factory.mktemp("stills") / "photographs")


def trainer_of(recipe: Recipe, clips: Clips, stills: Clips | None) -> Trainer:
    num_attributes = len((stills or clips).attributes)
    other = stills.split("train") if stills else None
    return Trainer(
        recipe, partial(build_anonymizer, recipe), clips.split("train"), len(clips.actions), num_attributes, CPU, other
    )


def state(*modules: nn.Module) -> list[Tensor]:
    return [tensor.clone() for module in modules for tensor in module.state_dict().values()]


def equal(one: list[Tensor], two: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def inputs_of(module: nn.Module, run: Callable[[], object]) -> list[Tensor]:
    """Return the inputs that a module gets during a block."""
    seen: list[Tensor] = []
    handle = module.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].detach().clone()))
    run()
    handle.remove()
    return seen


def test_each_branch_sees_its_own_store_through_the_anonymizer(
    avatars: Clips, stills: Clips, tiny_recipe: Build
) -> None:
    trainer = trainer_of(tiny_recipe({"training.stills_per_clip": 1}), avatars, stills)
    batch = trainer.batches.clips(0)
    stored = stills.split("train").clips(range(20))
    for move in (trainer.move_anonymizer, trainer.move_branches):
        for clips in inputs_of(trainer.anonymizer, lambda move=move: move(0)):
            of_stills = clips.shape == (4, 1, 3, 12, 14)
            assert of_stills or torch.equal(clips, batch.clips)
            if of_stills:
                assert all(any(torch.equal(one, photo) for photo in stored) for one in clips)

    def privacy_sees(anonymizer_at_work: bool) -> Tensor:
        before = trainer.anonymizer.network.out.bias.detach().clone()
        if not anonymizer_at_work:
            nn.init.constant_(trainer.anonymizer.network.out.bias, 100.0)  # everything becomes white
        (seen,) = inputs_of(trainer.privacy[0], lambda: trainer.move_branches(0))
        trainer.anonymizer.network.out.bias.data.copy_(before)
        return seen

    assert privacy_sees(True).shape == (4, 3, 12, 14)
    assert privacy_sees(False).min() == 1 > privacy_sees(True).min()
    assert trainer.privacy[0](torch.zeros(1, 3, 12, 14)).shape == (1, 2)  # the stills' attributes, not the clips'

    trainer.anonymizer.zero_grad(set_to_none=True)
    trainer.move_branches(0)
    assert all(p.grad is None for p in trainer.anonymizer.parameters())


def test_the_gradient_of_the_stills_moves_the_anonymizer(avatars: Clips, stills: Clips, tiny_recipe: Build) -> None:
    nothing_else = {"utility.weight": 0.0, "penalty.weight": 0.0, "privacy.cap": 10.0}
    for weight, moves in ((0.0, False), (5.0, True)):
        trainer = trainer_of(tiny_recipe({**nothing_else, "privacy.weight": weight}), avatars, stills)
        before = state(trainer.anonymizer)
        trainer.move_anonymizer(0)
        assert equal(before, state(trainer.anonymizer)) != moves


def test_the_privacy_branch_learns_the_labels_of_the_stills(avatars: Clips, stills: Clips, tiny_recipe: Build) -> None:
    params = {"anonymizer.pretrain_steps": 60, "training.batch_clips": 10, "training.warmup_steps": 60}
    trainer = trainer_of(tiny_recipe(params), avatars, stills)
    trainer.train_until(0)
    with torch.no_grad():
        photos = stills.split("test")
        logits = trainer.privacy[0](trainer.anonymizer(photos.clips(range(4)))[:, 0])
    assert ((logits[:, 0] > 0).int().tolist()) == photos.private[:, 0].tolist()


def test_the_utility_branch_learns_as_without_stills(avatars: Clips, stills: Clips, tiny_recipe: Build) -> None:
    one, two = (trainer_of(tiny_recipe(), avatars, store) for store in (stills, None))
    two.utility.load_state_dict(one.utility.state_dict())
    for trainer in (one, two):
        trainer.move_branches(0)
    assert equal(state(one.utility), state(two.utility))
    assert one.batches.clips(3).ids == two.batches.clips(3).ids


@pytest.mark.parametrize("params", [{}, VIEWS], ids=["attributes", "nt_xent"])
def test_what_is_learned_hangs_on_the_stills(
    avatars: Clips, stills: Clips, tiny_recipe: Build, tmp_path: Path, params: dict[str, Any]
) -> None:
    def trained(other: Clips | None) -> list[Tensor]:
        trainer = trainer_of(tiny_recipe(params), avatars, other)
        trainer.train_until(2)
        return state(trainer.anonymizer)

    results = [trained(other) for other in (None, stills, write_stills(tmp_path / "more", seed=1))]
    assert equal(results[1], trained(stills))
    assert not any(equal(one, two) for one, two in ((results[0], results[1]), (results[1], results[2])))


@pytest.mark.parametrize("params", [{}, VIEWS], ids=["attributes", "nt_xent"])
def test_a_run_on_stills_that_was_saved_goes_on_bit_by_bit(
    avatars: Clips, stills: Clips, tiny_recipe: Build, tmp_path: Path, params: dict[str, Any]
) -> None:
    recipe = tiny_recipe({"privacy.num_branches": 2, "privacy.restart_steps": 4, "training.flip": True, **params})
    whole, half, rest = (trainer_of(recipe, avatars, stills) for _ in range(3))
    curve = whole.train_until(6)
    half_curve = half.train_until(3)
    half.save(tmp_path / "half")
    rest.load(tmp_path / "half")
    assert half_curve + rest.train_until(6) == curve
    for name, trainer in (("whole", whole), ("rest", rest)):
        trainer.save(tmp_path / name)
    one, two = (load_file(tmp_path / name) for name in ("whole", "rest"))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_workers_share_the_stills_of_a_batch(avatars: Clips, stills: Clips, tiny_recipe: Build) -> None:
    trainer = trainer_of(tiny_recipe(), avatars, stills)

    def labels() -> Tensor:
        batch = trainer.batches.clips(5)
        return trainer.batches.seen(5, batch, batch.clips, trainer.anonymizer).private

    whole, parts = labels(), []
    trainer.collective.size = 2
    for rank in range(2):
        trainer.collective.world_rank = rank
        parts.append(labels())
    assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"privacy.head": "nt_xent"}, r"'nt_xent' on stills of one frame needs 'training\.crop' below 1, .*, got 1\.0"),
        ({"method": "bdq"}, "an anonymizer whose frames depend on other frames cannot learn on stills, got bdq"),
    ],
)
def test_recipes_that_cannot_learn_on_stills(
    avatars: Clips, stills: Clips, tiny_params: dict[str, Any], params: dict[str, Any], message: str
) -> None:
    kept = {} if params.get("method") == "bdq" else tiny_params
    with pytest.raises(RecipeError, match=message):
        trainer_of(make_recipe({**kept, **params}), avatars, stills)


def job(recipe: Recipe, directory: Path, rung: int = 0, step: int = 6, full: bool = True) -> RungJob:
    return RungJob("0007", recipe, str(directory), rung, step, full, Ceilings(0.9, 0.8))


def test_a_trial_on_stills_is_measured_on_the_clips(
    avatars: Clips, stills: Clips, tiny_recipe: Build, tmp_path: Path
) -> None:
    settings = StudySettings(stills=stills.location, stills_fingerprint=stills.fingerprint)
    body = make_body(Folder.at(tmp_path), find_stills(stills.location, avatars) and avatars, settings)
    assert isinstance(body, ClipTrialBody)
    recipe = tiny_recipe()
    report = pickle.loads(pickle.dumps(body)).advance(job(recipe, tmp_path / "one"))
    assert set(report.score.attributes) == set(avatars.attributes)
    assert report.score.num_test_clips == len(avatars.split("test"))

    # From rung to rung, as after a lost worker, the same comes out; without the stills something else.
    body.advance(job(recipe, tmp_path / "two", 0, 2, full=False))
    last = body.advance(job(recipe, tmp_path / "two", 1, 6))
    assert replace(last.score, seconds=0, seconds_per_frame=0) == replace(report.score, seconds=0, seconds_per_frame=0)
    weights = [load_file(tmp_path / name / "anonymizer.safetensors") for name in ("one", "two")]
    alone = perform(job(recipe, tmp_path / "three"), avatars, CPU)
    weights.append(load_file(tmp_path / "three" / "anonymizer.safetensors"))
    assert alone is not None
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())
    assert not all(torch.equal(tensor, weights[2][name]) for name, tensor in weights[0].items())


@pytest.fixture
def refused(say: Callable[..., Any]) -> Callable[..., str]:
    """Call the command line, which must end with one error line, and return that line."""

    def call(*words: object) -> str:
        said = say(*words)
        assert (said.code, said.out) == (2, "")
        return str(said.err.splitlines()[-1])

    return call


SPACE = '[search]\n"penalty.weight" = { low = 0.1, high = 10.0 }\n'


def test_a_study_goes_on_with_no_other_stills(avatars: Clips, tmp_path: Path, refused: Callable[..., str]) -> None:
    stills, other = write_stills(tmp_path / "stills"), write_stills(tmp_path / "other", seed=3)
    space, study = tmp_path / "space.toml", tmp_path / "study"
    space.write_text(SPACE)
    study.mkdir()
    settings = StudySettings(
        clips=avatars.location,
        clips_fingerprint=avatars.fingerprint,
        stills=stills.location,
        stills_fingerprint=stills.fingerprint,
    )
    freeze_study(study, SearchSpace.load(space, {}), settings)
    assert load_study(study)[1] == settings
    words = ("study", space, "--clips", avatars.directory, "--out", study)
    rule = f"error: {study}: study directory of another recipe: its stills was {stills.fingerprint}, got "
    assert refused(*words, "--stills", other.directory).startswith(f"{rule}{other.fingerprint}. ")
    assert refused(*words).startswith(f"{rule}. ")
    said = refused(*words, "--stills", avatars.directory.parent)
    assert said.startswith(f"error: {avatars.directory.parent}: a clip store must hold 'manifest.parquet'")

    shutil.rmtree(stills.directory)
    other.directory.rename(stills.directory)
    assert refused("resume", study).startswith(f"{rule}{other.fingerprint}. ")
    rule = f"error: {stills.directory}: the study's privacy branches learned on stills {stills.fingerprint}, got "
    assert refused("verify", study, "--retrain").startswith(f"{rule}{other.fingerprint}. ")
    shutil.rmtree(stills.directory)
    assert refused("resume", study).startswith(f"error: {stills.directory}: a clip store must hold")


def test_a_study_goes_on_with_no_other_clips(avatars: Clips, tmp_path: Path, refused: Callable[..., str]) -> None:
    space = tmp_path / "space.toml"
    space.write_text(SPACE)
    settings = StudySettings(clips=avatars.location, clips_fingerprint="other")
    freeze_study(tmp_path, SearchSpace.load(space, {}), settings)
    rule = f"error: {tmp_path}: study directory of another recipe: its clips was other, got {avatars.fingerprint}. "
    assert refused("resume", tmp_path).startswith(rule)
