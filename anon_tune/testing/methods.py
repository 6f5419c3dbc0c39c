"""Checks that every method must pass. A check takes the name of a method and raises AssertionError if it fails.

Example, in a test file of your package::

    @pytest.mark.parametrize("check", anon_tune.testing.methods.CHECKS, ids=lambda check: check.__name__)
    def test_my_method(check):
        check("my-method")

Shapes: B clips, T frames per clip, C = 3 channels (RGB), H height, W width.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from anon_tune.clips import Clips, make_avatars
from anon_tune.methods import build_anonymizer, find, make_recipe, read_recipe, trainer_of
from anon_tune.methods.table import broken_rules
from anon_tune.networks import Anonymizer, load_weights, save_weights
from anon_tune.recipe import Recipe
from anon_tune.training import TrialTrainer

_SMALL = {
    "anonymizer.base_channels": 4,
    "anonymizer.pretrain_steps": 2,
    "training.num_steps": 6,  # more than are done, so that a step too many is noticed
    "training.batch_clips": 4,
    "training.warmup_steps": 1,
}


def spec_keeps_the_contract(name: str) -> None:
    """The spec is complete, and a recipe of the method does not change when it is written, read or copied."""
    method = find(name)
    assert not list(broken_rules(method.spec))
    assert method.spec.summary
    recipe = _recipe(name)
    assert read_recipe(recipe.model_dump_json()) == recipe
    assert copy.deepcopy(recipe) == recipe


def frames_come_out_as_frames(name: str) -> None:
    """The output has the shape and type of the input and is in [0, 1]; the input is not changed."""
    anonymizer = _built(name)
    for shape in ((2, 4, 3, 24, 32), (1, 2, 3, 17, 19), (4, 3, 20, 24)):
        clips = _clips(*shape)
        before = clips.clone()
        out = anonymizer(clips)
        assert torch.equal(clips, before)
        assert out.shape == clips.shape
        assert out.dtype == clips.dtype
        assert 0 <= out.min() <= out.max() <= 1  # also false for NaN


def same_seed_gives_the_same(name: str) -> None:
    """Two anonymizers built with the same seed are the same, and the clips of a batch do not affect each other."""
    one, two = _built(name), _built(name)
    clips = _clips(2, 4, 3, 16, 20)
    out = one(clips)
    assert torch.equal(out, two(clips))
    for clip, expected in zip(clips, out, strict=True):
        torch.testing.assert_close(one(clip), expected, rtol=0, atol=1e-5)


def gradient_flows_if_trained(name: str) -> None:
    """Every weight of a trained method gets a finite gradient; a closed-form method has no weights."""
    anonymizer = _built(name, frozen=False)
    weights = list(anonymizer.parameters())
    if not find(name).is_trained:
        assert not anonymizer.state_dict()
        return
    assert weights
    anonymizer(_clips(2, 4, 3, 16, 20)).square().mean().backward()
    for weight in weights:
        assert weight.grad is not None
        assert torch.isfinite(weight.grad).all()
    assert any(weight.grad.abs().max() > 0 for weight in weights if weight.grad is not None)


def weights_go_out_and_come_back(name: str) -> None:
    """Weights that are saved and loaded into another anonymizer make it the same."""
    one, two = _built(name, seed=1), _built(name, seed=2)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "weights.safetensors"
        save_weights(one.state_dict(), file, {"method": name})  # metadata, because an empty file cannot be read
        load_weights(two, str(file))
    clips = _clips(1, 4, 3, 16, 20)
    assert torch.equal(one(clips), two(clips))


def a_frame_depends_on_no_more_than_it_says(name: str) -> None:
    """An output frame depends only on its own frame, `num_before` frames before it and `num_after` frames after it.

    Frames of a stream are then the same as those of a whole clip.
    """
    anonymizer = _built(name)
    before, after = anonymizer.num_before, anonymizer.num_after
    if before is None:
        return
    clip = _clips(8 + after, 3, 20, 24)
    whole = anonymizer(clip)
    inner = range(max(1, before), 8)
    parts = [anonymizer(clip[max(0, t - before) : t + 1 + after])[before] for t in inner]
    torch.testing.assert_close(torch.stack(parts), whole[max(1, before) : 8], rtol=0, atol=1e-5)


def training_goes_on_bit_identically(name: str) -> None:
    """Training without a break and training that is saved, loaded and continued give the same weights."""
    if not find(name).is_trained:
        return
    with tempfile.TemporaryDirectory() as folder:
        clips = make_avatars(
            Path(folder) / "avatars", num_train=24, num_val=24, num_test=24, num_frames=4, height=16, width=20
        )
        recipe = _recipe(name)
        whole, first, second = (_trainer(recipe, clips) for _ in range(3))
        whole.train_until(4)
        first.train_until(2)
        first.save(Path(folder) / "checkpoint.safetensors")
        second.load(Path(folder) / "checkpoint.safetensors")
        second.train_until(4)
    fresh = _trainer_weights(_built(name))
    there, here = _trainer_weights(whole.anonymizer), _trainer_weights(second.anonymizer)
    assert all(torch.equal(there[key], here[key]) for key in there)
    assert any(not torch.equal(there[key], fresh[key]) for key in there)


CHECKS: tuple[Callable[[str], None], ...] = (
    spec_keeps_the_contract,
    frames_come_out_as_frames,
    same_seed_gives_the_same,
    gradient_flows_if_trained,
    weights_go_out_and_come_back,
    a_frame_depends_on_no_more_than_it_says,
    training_goes_on_bit_identically,
)
"""All checks. Each takes the name of a method, together with the method's arguments if it has any."""


def _recipe(name: str) -> Recipe:
    spec = find(name).spec
    small = {key: value for key, value in _SMALL.items() if spec.is_trained and not spec.owns(key)}
    return make_recipe({"method": name, **small})


def _built(name: str, seed: int = 0, frozen: bool = True) -> Anonymizer:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        anonymizer = build_anonymizer(_recipe(name))
    return anonymizer.eval().requires_grad_(not frozen)


def _clips(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def _trainer(recipe: Recipe, clips: Clips) -> TrialTrainer:
    return trainer_of(recipe)(
        recipe,
        partial(build_anonymizer, recipe),
        clips.split("train"),
        len(clips.actions),
        len(clips.attributes),
        torch.device("cpu"),
    )


def _trainer_weights(anonymizer: Anonymizer) -> dict[str, Tensor]:
    return dict(anonymizer.state_dict())
