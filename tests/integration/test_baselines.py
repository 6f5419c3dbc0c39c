"""The trained methods, each tested by its characteristic property, and their privacy branches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from anon_tune import methods
from anon_tune.clips import Clips, ClipSampler, ClipSet
from anon_tune.clips.batches import StoredBatch
from anon_tune.methods import build_anonymizer, find, make_recipe, specs
from anon_tune.recipe import Recipe
from anon_tune.training import Seen, Trainer, quantize, uniform
from anon_tune.trial import Ceilings, RungJob
from anon_tune.worker.job import perform

pytestmark = pytest.mark.trains

CPU = torch.device("cpu")
Named = Callable[..., Recipe]
Weights = dict[str, Tensor]
ENSEMBLE: dict[str, Any] = {"privacy.num_branches": 3, "privacy.restart_steps": 2, "training.warmup_steps": 2}
QUIET: dict[str, Any] = {"utility.weight": 0.0, "penalty.weight": 0.0}  # nothing but privacy moves f_A


@pytest.fixture
def named(tiny_params: dict[str, Any]) -> Named:
    """Build a tiny recipe of a named method: ``named("spact", {...})``."""

    def build(method: str, params: dict[str, Any] | None = None) -> Recipe:
        own = find(method).spec.owns
        return make_recipe({k: v for k, v in tiny_params.items() if not own(k)} | (params or {}) | {"method": method})

    return build


def trainer_of(recipe: Recipe, clips: Clips, train: ClipSet | None = None) -> Trainer:
    return Trainer(
        recipe,
        partial(build_anonymizer, recipe),
        train or clips.split("train"),
        len(clips.actions),
        len(clips.attributes),
        CPU,
    )


def weights(module: nn.Module) -> Weights:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def equal(one: Weights, two: Weights) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def trained(clips: Clips, recipe: Recipe, train: ClipSet | None = None) -> Weights:
    sizes = len(clips.actions), len(clips.attributes)
    by_method = methods.trainer_of(recipe)
    trainer = by_method(recipe, partial(build_anonymizer, recipe), train or clips.split("train"), *sizes, CPU)
    trainer.train_until(recipe.training.num_steps)
    return weights(trainer.anonymizer)


@pytest.mark.parametrize("method", [spec.name for spec in specs() if spec.is_trained])
def test_every_trained_method_is_trained_and_measured(
    avatars: Clips, named: Named, tmp_path: Path, method: str
) -> None:
    recipe = named(method, {"training.num_steps": 4})
    curve = []
    for rung, step in enumerate((2, 4)):
        job = RungJob("0000", recipe, str(tmp_path), rung, step, step == 4, Ceilings(0.9, 0.9))
        report = perform(job, avatars, CPU)
        assert report is not None
        curve += report.curve
    assert [point.step for point in curve] == [0, 1, 2, 3]
    assert report.score.full
    assert report.score.is_finite
    assert report.score.distortion > 0
    assert equal(load_file(tmp_path / "anonymizer.safetensors"), trained(avatars, recipe))


def test_a_detached_penalty_moves_not_one_bit(avatars: Clips, named: Named) -> None:
    def result(method: str, weight: float, threshold: float, on: str = "pixels") -> Weights:
        on_what = {"penalty.on": on} if method == "penalty-detached" else {}
        return trained(avatars, named(method, {"penalty.weight": weight, "penalty.threshold": threshold} | on_what))

    without = result("penalty-detached", 0.0, 0.1)
    for weight, threshold, on in ((50.0, 0.0, "pixels"), (50.0, 0.3, "pixels"), (1e4, 0.0, "features")):
        assert equal(result("penalty-detached", weight, threshold, on), without)
    for method in ("penalty-pixels", "penalty-features"):
        assert equal(result(method, 0.0, 0.0), without)
        assert not equal(result(method, 50.0, 0.0), without)


def test_a_penalty_on_pixels_is_not_one_on_features(avatars: Clips, named: Named) -> None:
    params = {"penalty.weight": 5.0, "penalty.threshold": 0.0}
    pixels, features = (trained(avatars, named(f"penalty-{on}", params)) for on in ("pixels", "features"))
    assert not equal(pixels, features)


def test_spact_looks_at_no_label_and_feels_no_penalty(avatars: Clips, named: Named) -> None:
    train = avatars.split("train")
    others = replace(train, private=1 - train.private)
    spact = trained(avatars, named("spact"))
    assert equal(spact, trained(avatars, named("spact"), others))
    assert equal(spact, trained(avatars, named("spact", {"penalty.threshold": 0.0, "penalty.on": "features"})))
    assert not equal(spact, trained(avatars, named("spact", {"privacy.weight": 0.0})))
    supervised = named("adversarial")
    assert not equal(trained(avatars, supervised), trained(avatars, supervised, others))


def spoil_branches(trainer: Trainer) -> None:
    """Change the weights of the privacy branches and the moments of their optimizer."""
    for tensor in (*trainer.privacy.parameters(), *(m for s in moments(trainer) for m in s.values())):
        tensor.data.add_(0.1)


def moments(trainer: Trainer) -> list[dict[str, Tensor]]:
    return list(trainer.optimizers["privacy"].state.values())


def test_vita_forgets_its_branches_at_a_restart(avatars: Clips, named: Named) -> None:
    recipe = named("vita", {"training.num_steps": 51, "training.num_branch_updates": 1})
    assert recipe.privacy.restart_steps == 50
    ends = []
    for spoilt in (False, True):
        trainer = trainer_of(recipe, avatars)
        trainer.train_until(50)
        before = weights(trainer.privacy)
        if spoilt:
            spoil_branches(trainer)
        trainer.train_until(51)
        assert not equal(weights(trainer.privacy), before)
        num_updates = recipe.training.warmup_steps + recipe.training.num_branch_updates
        assert {int(state["step"]) for state in moments(trainer)} == {num_updates}
        ends.append(weights(trainer.privacy) | weights(trainer.anonymizer))
    assert equal(*ends)


def test_without_a_restart_the_branches_remember(avatars: Clips, named: Named) -> None:
    ends = []
    for spoilt in (False, True):
        trainer = trainer_of(named("adversarial", {**ENSEMBLE, "privacy.restart_steps": 3}), avatars)
        trainer.train_until(2)
        if spoilt:
            spoil_branches(trainer)
        trainer.train_until(3)  # the restart belongs to the step that follows
        ends.append(weights(trainer.anonymizer))
    assert not equal(*ends)


def test_restarts_differ_from_each_other_and_from_the_start(avatars: Clips, named: Named) -> None:
    drawn = []
    for step in (0, 2, 4):
        trainer = trainer_of(named("vita"), avatars)
        if step:
            trainer.step = step
            trainer.restart_branches(0)
        drawn.append(next(trainer.privacy.parameters()).detach().clone())
    assert not any(torch.equal(drawn[a], drawn[b]) for a, b in ((0, 1), (0, 2), (1, 2)))


def test_the_most_confident_branch_of_vita_drives_the_anonymizer(avatars: Clips, named: Named) -> None:
    recipe = named("vita", {"utility.weight": 0.0})

    def after_a_move(spoilt: int | None) -> tuple[Weights, float]:
        trainer = trainer_of(recipe, avatars)
        trainer.train_until(1)
        batch, stills = trainer.batches.clips(50), trainer.batches.frames(50)
        with torch.no_grad():
            frames = quantize(trainer.anonymizer(batch.clips))[torch.arange(4).unsqueeze(1), stills].flatten(0, 1)
            surest = max(range(4), key=lambda k: float(uniform(trainer.privacy[k](frames))))
            if spoilt is not None:  # counted from the surest
                for parameter in trainer.privacy[(surest + spoilt) % 4].parameters():
                    parameter.mul_(0.9)
        trainer.privacy.zero_grad(set_to_none=True)
        terms = trainer.move_anonymizer(50)
        assert all(p.grad is None for p in trainer.privacy.parameters())
        return weights(trainer.anonymizer), terms["privacy"]

    whole, loss = after_a_move(None)
    for other in (1, 2, 3):
        assert equal(after_a_move(other)[0], whole)
        assert after_a_move(other)[1] == loss
    assert not equal(after_a_move(0)[0], whole)


@pytest.mark.parametrize("num_branches", [1, 3])
def test_the_uniform_target_takes_a_branch_its_certainty(avatars: Clips, named: Named, num_branches: int) -> None:
    params = {**QUIET, "privacy.target": "uniform", "privacy.num_branches": num_branches, "training.warmup_steps": 30}
    trainer = trainer_of(named("adversarial", {**params, "training.num_steps": 1}), avatars)
    trainer.train_until(0)
    batch, stills = trainer.batches.clips(0), trainer.batches.frames(0)

    def certainty() -> float:
        with torch.no_grad():
            frames = trainer.anonymizer(batch.clips)[torch.arange(4).unsqueeze(1), stills]
            return float(trainer.privacy.drive(Seen(frames, frames, batch.private))[0])

    before = certainty()
    for _ in range(15):
        trainer.move_anonymizer(0)
    assert certainty() < before


def test_branches_do_not_teach_each_other(avatars: Clips, named: Named) -> None:
    def first_branch(num_branches: int) -> Weights:
        params = {"privacy.num_branches": num_branches, "privacy.weight": 0.0}  # or f_A would hear of the others
        trainer = trainer_of(named("adversarial", params), avatars)
        trainer.train_until(3)
        return weights(trainer.privacy[0])

    assert equal(first_branch(1), first_branch(4))


class WatchedSampler(ClipSampler):
    """A sampler that remembers the batches that were requested."""

    def stored(self, step: int, part: int = 0, num_parts: int = 1, view: int = 0) -> StoredBatch:
        self.__dict__.setdefault("seen", []).append(step)
        return super().stored(step, part, num_parts, view)


@pytest.mark.parametrize("restart_steps", [0, 2, 3])
def test_every_move_has_a_batch_of_its_own(avatars: Clips, named: Named, restart_steps: int) -> None:
    params = {**ENSEMBLE, "privacy.restart_steps": restart_steps, "anonymizer.pretrain_steps": 0}
    trainer = trainer_of(named("adversarial", params), avatars)
    trainer.batches.sampler = WatchedSampler(avatars.split("train"), 4, 0)
    trainer.train_until(6)
    num_warmups = 1 + (5 // restart_steps if restart_steps else 0)
    assert trainer.batches.sampler.__dict__["seen"] == list(range(2 * num_warmups + 6 * 4))


@pytest.mark.parametrize(
    "params",
    [
        {"privacy.target": "uniform"},
        {"privacy.head": "nt_xent"},
        {"privacy.bound": "tanh", "training.crop": 0.7},
    ],
)
@pytest.mark.parametrize("at", [1, 2])  # in between, and where the branches are about to start again
def test_a_run_with_restarts_goes_on_bit_by_bit(
    avatars: Clips, named: Named, tmp_path: Path, params: dict[str, Any], at: int
) -> None:
    recipe = named("adversarial", ENSEMBLE | params)
    whole, half, rest = (trainer_of(recipe, avatars) for _ in range(3))
    curve = whole.train_until(5)
    first = half.train_until(at)
    half.save(tmp_path / "half.safetensors")
    torch.rand(17)  # whatever else draws numbers in between
    rest.load(tmp_path / "half.safetensors")
    assert first + rest.train_until(5) == curve
    for trainer, name in ((whole, "whole"), (rest, "rest")):
        trainer.save(tmp_path / f"{name}.safetensors")
    assert equal(load_file(tmp_path / "whole.safetensors"), load_file(tmp_path / "rest.safetensors"))
