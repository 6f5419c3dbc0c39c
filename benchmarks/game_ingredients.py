"""What each ingredient of the game is worth by the strict measure: a recipe, and the recipe with one thing changed.

For every variant and seed, one JSON line is printed: leakage and accuracy of a full score with raw-trained attackers,
both also as fractions of raw clips (leakage between floor and raw; accuracy as a plain ratio), and the loss curve of
the privacy branches. With ``--course``, fresh attackers also attack the anonymizer at several steps of its training.
The lines then show how far the branches inside the game are from what fresh attackers reach.

    OMP_NUM_THREADS=1 python benchmarks/game_ingredients.py --clips clips/ixmas --seeds 1
    OMP_NUM_THREADS=1 python benchmarks/game_ingredients.py --clips avatars --course 4 --variants today recipe
    python benchmarks/game_ingredients.py --figure runs/course.png --lines runs/course.jsonl
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from anon_tune.clips import Clips, make_avatars, open_clips
from anon_tune.evaluation import measure, raw_networks
from anon_tune.methods import build_anonymizer, make_recipe, trainer_of
from anon_tune.recipe import EvaluationRecipe, Recipe
from anon_tune.trial import Ceilings, LossPoint, Score

CPU = torch.device("cpu")

TODAY: Mapping[str, Any] = {
    "anonymizer.network": "unet_small",
    "anonymizer.start": "identity",
    "privacy.branches": "network",
    "privacy.driver": "strongest",
    "privacy.weight": 20.0,
    "penalty.weight": 1.0,
    "training.num_steps": 200,
}
"""The game as it was before the ingredients: a frame network and one branch that looks at single frames."""

RECIPE: Mapping[str, Any] = {
    "anonymizer.network": "unet_temporal",
    "anonymizer.start": "frame-difference:3",
    "privacy.branches": "frame,clip,motion",
    "privacy.driver": "all",
    "privacy.weight": 20.0,
    "privacy.width": 8,
    "penalty.weight": 0.0,
    "anonymizer.grey": True,
    "anonymizer.block": 2,
    "anonymizer.levels": 4,
    "training.num_steps": 200,
    "training.num_branch_updates": 2,
}
"""The parts that paid, together."""

CHANGES: Mapping[str, Mapping[str, Any]] = {
    "recipe": {},
    "a network that sees single frames": {"anonymizer.network": "unet_small", "anonymizer.start": "identity"},
    "starts as the identity": {"anonymizer.start": "identity"},
    "one branch that sees frames, as before": {"privacy.branches": "network"},
    "one attacker that sees frames": {"privacy.branches": "frame"},
    "no bottleneck": {"anonymizer.grey": False, "anonymizer.block": 1, "anonymizer.levels": 256},
    "colours": {"anonymizer.grey": False},
    "every pixel": {"anonymizer.block": 1},
    "all levels": {"anonymizer.levels": 256},
    "the strongest branch drives": {"privacy.driver": "strongest"},
    "goal of 0.5": {"privacy.target": "uniform"},
    "bounded by tanh": {"privacy.bound": "tanh"},
    "restarts in turn": {"privacy.restart_steps": 40, "privacy.restart": "in-turn"},
    "a penalty": {"penalty.weight": 1.0},
    "twice as long": {"training.num_steps": 400},
    "no adversary": {"privacy.weight": 0.0},
    "an average of weights": {"average": 0.95},
}
"""Changes of recipe values; ``average`` is the decay of an exponential moving average of f_A, which is scored."""


def variants(names: list[str], given: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the values of every variant that is asked for; all if none is."""
    known = {"today": dict(TODAY)} | {name: {**RECIPE, **change} for name, change in CHANGES.items()}
    for name in names or known:
        yield name, known[name] | dict(given)


class Judge:
    """Scores anonymizers on one store as fractions of what raw clips give."""

    def __init__(self, clips: Clips, baselines: str) -> None:
        self.clips, self.recipe = clips, EvaluationRecipe()
        self.raw = raw_networks(clips, self.recipe, CPU, baselines)
        plain = build_anonymizer(make_recipe({"method": "identity"}))
        identity = measure(plain, clips, self.recipe, True, None, CPU, raw=self.raw)
        self.ceilings = Ceilings(identity.leakage.value, identity.accuracy.value)

    def numbers(self, score: Score) -> dict[str, Any]:
        """Return the numbers of a score that are printed."""
        leakage, accuracy = score.leakage, score.accuracy
        return {
            "leakage": leakage.value,
            "normalized_leakage": (leakage.value - leakage.floor) / (self.ceilings.leakage - leakage.floor),
            "accuracy": accuracy.value,
            "of_raw_accuracy": accuracy.value / self.ceilings.accuracy,
            "validation": [leakage.validation, accuracy.validation],
            "attackers": dict(score.attackers),
        }

    def score(self, recipe: Recipe, anonymizer: nn.Module) -> dict[str, Any]:
        """Score an anonymizer as it is now."""
        effort = recipe.evaluation
        return self.numbers(measure(anonymizer, self.clips, effort, True, self.ceilings, CPU, raw=self.raw))


def train(recipe: Recipe, judge: Judge, num_looks: int, decay: float) -> dict[str, Any]:
    """Train a recipe and score it, several times along the way if asked to, or score an average of its weights."""
    clips = judge.clips
    build = partial(build_anonymizer, recipe)
    trainer = trainer_of(recipe)(recipe, build, clips.split("train"), len(clips.actions), len(clips.attributes), CPU)
    points: list[LossPoint] = []
    course: list[dict[str, Any]] = []
    seconds, num_steps = 0.0, recipe.training.num_steps
    averaged = AveragedModel(trainer.anonymizer, multi_avg_fn=get_ema_multi_avg_fn(decay))
    for look in range(1, num_looks + 1):
        start, end = time.process_time(), num_steps * look // num_looks
        while trainer.step < end:
            points += trainer.train_until(trainer.step + 1 if decay else end)
            if decay:
                averaged.update_parameters(trainer.anonymizer)
        seconds += time.process_time() - start
        found = judge.score(recipe, averaged.module if decay else trainer.anonymizer)
        recent = [point.terms["privacy"] for point in points[-num_steps // num_looks // 2 :]]
        course.append({"step": trainer.step, "branch_loss": sum(recent) / len(recent), **found})
    shown = points[:: max(1, num_steps // 20)]
    curve = [{"step": point.step, **{k: round(v, 3) for k, v in point.terms.items()}} for point in shown]
    return {**course[-1], "training_cpu_s": seconds, "curve": curve, "course": course}


def draw(lines: Path, picture: Path) -> None:
    """Draw leakage by fresh attackers and loss of the branches over training, a panel each, from printed lines."""
    from picture import save
    from plotly.colors import qualitative
    from plotly.subplots import make_subplots

    titles = ("normalized leakage by fresh attackers", "loss of the branches inside the game")
    figure = make_subplots(rows=1, cols=2, subplot_titles=titles)
    runs = [json.loads(line) for line in lines.read_text().splitlines()]
    names = list(dict.fromkeys(run["variant"] for run in runs))
    for run in runs:
        colour = qualitative.Dark2[names.index(run["variant"]) % 8]
        for column, value in enumerate(("normalized_leakage", "branch_loss"), start=1):
            figure.add_scatter(
                x=[look["step"] for look in run["course"]],
                y=[look[value] for look in run["course"]],
                name=run["variant"],
                legendgroup=run["variant"],
                showlegend=column == 1 and run["seed"] == 0,
                mode="lines+markers",
                line={"color": colour},
                row=1,
                col=column,
            )
    figure.update_xaxes(title="step")
    figure.update_yaxes(range=[0, 1.05], row=1, col=1)
    legend = {"orientation": "h", "y": -0.2}
    figure.update_layout(template="simple_white", width=900, height=420, legend=legend, margin={"t": 40, "b": 50})
    save(figure, picture, 900, 420)


def main() -> None:
    """Train every variant with every seed, or draw what earlier runs printed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", default="avatars", help="clip store; 'avatars' for the built-in clips")
    parser.add_argument("--variants", nargs="*", default=[], choices=["today", *CHANGES], help="all if none is given")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="values for all variants")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--course", type=int, default=1, help="number of scores along the training")
    parser.add_argument("--baselines", default="", help="folder that keeps attackers trained on raw clips")
    parser.add_argument("--lines", type=Path, help="printed lines, to draw from")
    parser.add_argument("--figure", type=Path, help="PNG file to draw into, by Chromium")
    args = parser.parse_args()
    if args.figure:
        draw(args.lines, args.figure)
        return
    torch.set_num_threads(1)
    given = {name: _value(text) for name, _, text in (one.partition("=") for one in args.set)}
    with tempfile.TemporaryDirectory() as scratch:
        clips = make_avatars(Path(scratch) / "avatars") if args.clips == "avatars" else open_clips(args.clips)
        judge = Judge(clips, args.baselines)
        for name, params in variants(args.variants, given):
            decay = params.pop("average", 0.0)
            for seed in range(args.seeds):
                recipe = make_recipe({**params, "training.seed": seed}, name)
                found = train(recipe, judge, args.course, decay)
                print(json.dumps({"clips": args.clips, "variant": name, "seed": seed, **given, **found}), flush=True)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


if __name__ == "__main__":
    main()
