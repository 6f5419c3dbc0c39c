"""What a method can add to the game, and how a loss term reaches the ledger and the page."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from anon_tune.clips import Clips
from anon_tune.ledger import Ledger
from anon_tune.methods import build_anonymizer
from anon_tune.pareto import ParetoFront
from anon_tune.recipe import Recipe
from anon_tune.report.training_figures import loss_chart
from anon_tune.schedule import Schedule
from anon_tune.training import GameHooks, Term, Trainer, losses
from anon_tune.trial import Reading, RungReport, Score, Trial, TrialState

CPU = torch.device("cpu")
Build = Callable[..., Recipe]


def trainer_of(recipe: Recipe, clips: Clips, hooks: GameHooks) -> Trainer:
    sizes = len(clips.actions), len(clips.attributes)
    build = partial(build_anonymizer, recipe)
    return Trainer(recipe, build, clips.split("train"), *sizes, CPU, hooks=hooks)


def brightness(weight: float | None) -> Term:
    schedule = None if weight is None else lambda recipe: Schedule(start=weight)
    return Term("brightness", lambda move: move.changed.mean(), schedule)


def test_a_term_of_a_method_pulls_at_the_anonymizer_and_is_shown(avatars: Clips, tiny_recipe: Build) -> None:
    ends, curves = {}, {}
    for weight in (None, 0.0, 100.0):
        trainer = trainer_of(tiny_recipe(), avatars, GameHooks(anonymizer_terms=(brightness(weight),)))
        curves[weight] = trainer.train_until(4)
        ends[weight] = torch.cat([p.detach().flatten() for p in trainer.anonymizer.parameters()])
    plain = trainer_of(tiny_recipe(), avatars, GameHooks())
    plain_curve = plain.train_until(4)
    assert [[*point.terms] for point in curves[100.0]] == [
        ["utility", "privacy", "penalty", "distortion", "brightness"]
    ] * 4
    assert torch.equal(ends[None], ends[0.0]) and not torch.equal(ends[0.0], ends[100.0])
    assert curves[100.0][-1].terms["brightness"] < curves[None][-1].terms["brightness"]
    assert [{k: v for k, v in p.terms.items() if k != "brightness"} for p in curves[None]] == [
        p.terms for p in plain_curve
    ]


def test_a_term_of_move_2_pulls_at_the_utility_network_alone(avatars: Clips, tiny_recipe: Build) -> None:
    term = Term(
        "norm",
        lambda move: sum(p.square().sum() for p in move.utility.parameters()),
        lambda recipe: Schedule(start=1.0),
    )
    trainer = trainer_of(tiny_recipe(), avatars, GameHooks(utility_terms=(term,)))
    plain = trainer_of(tiny_recipe(), avatars, GameHooks())
    for one in (trainer, plain):
        one.move_branches(0)

    def weights(module: nn.Module) -> torch.Tensor:
        return torch.cat([p.detach().flatten() for p in module.parameters()])

    assert not torch.equal(weights(trainer.utility), weights(plain.utility))
    assert torch.equal(weights(trainer.privacy), weights(plain.privacy))


class Counter(nn.Module):
    """Counts steps in a buffer, as state of a method that must survive a checkpoint."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))


def counting(called: list[str]) -> GameHooks:
    counter = Counter()

    def after_step(trainer: Trainer) -> None:
        counter.steps += 1
        called.append(f"step {trainer.step}")

    return GameHooks(modules={"counter": counter}, before_game=lambda _: called.append("before"), after_step=after_step)


def test_hooks_are_called_in_their_place_and_their_state_is_in_the_checkpoint(
    avatars: Clips, tiny_recipe: Build, tmp_path: Path
) -> None:
    called: list[str] = []
    first = trainer_of(tiny_recipe(), avatars, counting(called))
    first.train_until(2)
    first.save(tmp_path / "half")
    rest = trainer_of(tiny_recipe(), avatars, counting(called))
    rest.load(tmp_path / "half")
    rest.train_until(3)
    rest.save(tmp_path / "end")
    assert called == ["before", "step 1", "step 2", "step 3"]
    assert load_file(tmp_path / "end")["counter.steps"].item() == 3


def test_a_new_term_reaches_the_ledger_and_the_page(avatars: Clips, tiny_recipe: Build, tmp_path: Path) -> None:
    trainer = trainer_of(tiny_recipe(), avatars, GameHooks(anonymizer_terms=(brightness(1.0),)))
    curve = tuple(trainer.train_until(3))
    ledger = Ledger(tmp_path)
    trial = Trial("0000", 0, "adversarial", {}, "f", TrialState.RUNNING)
    reading = Reading(0.6, 0.4, 0.9, 0.5, 0.7, 0.6)
    score = Score(True, reading, reading, {}, {}, 0.1, 1, 1, 0, 0.1)
    ledger.append(trial, RungReport(trial.id, 0, 3, score, curve, 1.0, "here", ""))
    (read,) = ledger.trials()
    assert tuple(read.reports[0].curve) == curve
    chart: Any = loss_chart([read], ParetoFront.of([read]))
    titles = [axis["title"]["text"] for name, axis in chart.layout(False).items() if name.startswith("yaxis")]
    assert titles == ["Utility", "Privacy", "Penalty", "Distortion", "Brightness"]
    assert len(chart.data) == 5


def test_the_gradient_of_move_1_is_that_of_its_terms_computed_one_after_the_other(
    avatars: Clips, tiny_recipe: Build
) -> None:
    recipe = tiny_recipe({"penalty.threshold": 0.0})
    played, other = (trainer_of(recipe, avatars, GameHooks()) for _ in range(2))
    played.move_anonymizer(0)

    f_a, f_t, f_b = other.anonymizer, other.utility.eval(), other.privacy.eval()
    batch = other.batches.clips(0)
    changed = losses.quantize(f_a(batch.clips))
    utility = functional.cross_entropy(f_t(changed), batch.actions)
    seen = other.batches.seen(0, batch, changed, f_a)  # here, or a gradient is summed in another order
    adversary, _ = f_b.drive(seen)
    penalty = losses.penalty(batch.clips, changed, 0.0)
    weights = [
        getattr(recipe, part).weight.at(0, recipe.training.num_steps) for part in ("utility", "privacy", "penalty")
    ]
    (weights[0] * utility + weights[1] * adversary + weights[2] * penalty).backward()
    gradients = [[p.grad for p in trainer.anonymizer.parameters()] for trainer in (played, other)]
    assert all(torch.equal(one, two) for one, two in zip(*gradients, strict=True))
