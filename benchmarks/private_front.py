"""What privacy of training costs: accuracy and leakage of the game trained with noise, from epsilon 8 down to 1.

For every epsilon, several trials draw their values at random. For every trial, one JSON line is printed: the noise that
gives one run this epsilon, accuracy and leakage of a full score, and what choosing among the trials costs. Attackers
and classifier learn outside the training split, so the choice is covered by the claim.

    OMP_NUM_THREADS=1 python benchmarks/private_front.py > runs/private_front.jsonl
    python benchmarks/private_front.py --lines runs/private_front.jsonl --figure runs/private_front.html
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from anon_tune.accounting import NumberLaw, epsilon, noise_multiplier_for, selection_epsilon
from anon_tune.accounting.private_run import PrivateRun, private_run
from anon_tune.clips import Clips, make_avatars
from anon_tune.clips.outside import outside_training
from anon_tune.evaluation import measure, raw_networks
from anon_tune.methods import build_anonymizer, make_recipe, trainer_of
from anon_tune.recipe import Recipe
from anon_tune.trial import Ceilings, Score

CPU = torch.device("cpu")
EPSILONS = (8.0, 4.0, 2.0, 1.0)
SHAPE = {"num_train": 960, "num_val": 288, "num_test": 144, "num_frames": 4, "height": 20, "width": 20}
FIXED: dict[str, Any] = {
    "anonymizer.base_channels": 8,
    "anonymizer.grey": True,
    "anonymizer.pretrain_steps": 20,
    "penalty.weight": 0.0,
    "training.num_steps": 40,
    "training.batch_clips": 48,
    "training.num_branch_updates": 1,
    "training.warmup_steps": 10,
    "evaluation.attackers_learn_on": "outside",
    "evaluation.full.attackers": "frame,clip",
    "evaluation.full.attacker_steps": 240,
}
PRIVATE = {"dp.clip_norm": 1.0, "dp.noise_multiplier": 1.0}


class Judge:
    """Scores anonymizers by attackers that learn outside the training split."""

    def __init__(self, clips: Clips) -> None:
        self.seen = outside_training(clips)
        self.recipe = make_recipe(FIXED).evaluation
        self.raw = raw_networks(self.seen, self.recipe, CPU, "")
        self.ceilings: Ceilings | None = None
        self.identity = self.score(make_recipe({"method": "identity"}))
        self.ceilings = Ceilings.of(self.identity)

    def score(self, recipe: Recipe, anonymizer: Any = None) -> Score:
        """Return a full score."""
        made = anonymizer or build_anonymizer(recipe)
        return measure(made, self.seen, self.recipe, True, self.ceilings, CPU, raw=self.raw)


def drawn(number: int) -> dict[str, float]:
    """Return the values that a trial draws; trials of the same number draw the same for every epsilon."""
    rng = random.Random(number)
    lr = 10 ** rng.uniform(-2.7, -2.0)
    return {"privacy.weight": 10 ** rng.uniform(-0.3, 1.0), "anonymizer.lr": lr, "utility.lr": lr, "privacy.lr": lr}


def costs(run: PrivateRun, num_trials: int) -> dict[str, float]:
    """Return epsilon of one run, of the best of a drawn number, and of all trials composed."""
    best = {law: selection_epsilon([run.phase], run.delta, NumberLaw.parse(f"{law}:{num_trials}"))
            for law in ("logarithmic", "geometric")}  # fmt: skip
    return {"one": run.epsilon(), **best, "composed": epsilon([run.phase] * num_trials, run.delta)}


def trials(clips: Clips, num_trials: int, epsilons: Sequence[float]) -> Iterator[dict[str, Any]]:
    """Train and score every trial, those without noise first."""
    judge, train = Judge(clips), clips.split("train")
    num_groups = len(set(train.groups))
    yield {"epsilon": None, "trial": "raw", **numbers(judge.identity)}
    for wanted in (None, *epsilons):
        private: dict[str, float] = {}
        cost: dict[str, float] = {}
        if wanted is not None:
            run = private_run(make_recipe({**FIXED, **PRIVATE}), len(train), num_groups)
            noise = noise_multiplier_for(run.rate, run.num_updates, wanted, run.delta)
            private = {"dp.clip_norm": 1.0, "dp.noise_multiplier": noise}
            recipe = make_recipe({**FIXED, **private})
            cost = costs(private_run(recipe, len(train), num_groups), num_trials)
        for number in range(num_trials):
            values = drawn(number)
            recipe = make_recipe({**FIXED, **values, **private})
            build, start = partial(build_anonymizer, recipe), time.process_time()
            trainer = trainer_of(recipe)(recipe, build, train, len(clips.actions), len(clips.attributes), CPU)
            trainer.train_until(recipe.training.num_steps)
            seconds = time.process_time() - start
            score = judge.score(recipe, trainer.anonymizer)
            yield {
                "epsilon": wanted,
                "trial": number,
                **numbers(score),
                "noise_multiplier": private.get("dp.noise_multiplier"),
                "cost": cost,
                "values": values,
                "training_cpu_s": round(seconds, 1),
            }


def numbers(score: Score) -> dict[str, float]:
    """Return the numbers of a score that are printed."""
    accuracy, leakage = score.accuracy, score.leakage
    return {
        "accuracy": accuracy.value,
        "accuracy_floor": accuracy.floor,
        "leakage": leakage.value,
        "leakage_floor": leakage.floor,
    }


def draw(lines: Path, figure: Path) -> None:
    """Draw accuracy over epsilon with the leakage as colour, and how far choosing moves the best trial."""
    import plotly.graph_objects as go

    found = [json.loads(line) for line in lines.read_text().splitlines()]
    raw, plain = found[0], [one for one in found if one["epsilon"] is None and one["trial"] != "raw"]
    private = [one for one in found if one["epsilon"] is not None]
    made = go.Figure()
    for wanted in sorted({one["epsilon"] for one in private}):
        best = max((one for one in private if one["epsilon"] == wanted), key=lambda one: one["accuracy"])
        for name, told in (("composed", "all trials composed"), ("logarithmic", "a drawn number of trials")):
            made.add_scatter(
                x=[wanted, best["cost"][name]],
                y=[best["accuracy"]] * 2,
                mode="lines",
                line={"color": "#888", "dash": "solid" if name == "composed" else "dot"},
                name=f"cost of the choice: {told}",
                showlegend=wanted == 1.0,
            )
    colours = {"cmin": raw["leakage_floor"], "cmax": raw["leakage"], "colorscale": "Viridis", "size": 13}
    bar = {"colorbar": {"title": "leakage"}, "line": {"width": 1, "color": "#333"}}
    none = 60.0  # where trials without noise are drawn
    for name, trials_of, mark in (("a private trial", private, bar), ("without noise", plain, {"symbol": "diamond"})):
        made.add_scatter(
            x=[one["epsilon"] or none for one in trials_of],
            y=[one["accuracy"] for one in trials_of],
            mode="markers",
            name=name,
            marker={**colours, "color": [one["leakage"] for one in trials_of], **mark},
        )
    made.add_hline(y=raw["accuracy"], line_dash="dash", annotation_text="raw clips")
    made.add_hline(y=raw["accuracy_floor"], line_dash="dash", annotation_text="chance")
    ticks = [1, 2, 4, 8, 16, 32]
    made.update_xaxes(type="log", title="epsilon of the training", tickvals=[*ticks, none], ticktext=[*ticks, "none"])
    made.update_yaxes(title="accuracy", range=[0, 1.02])
    legend = {"orientation": "h", "y": 1.12}
    made.update_layout(template="simple_white", width=900, height=480, legend=legend, margin={"t": 40, "b": 50})
    made.write_html(figure)


def main() -> None:
    """Train all trials, or draw what an earlier run printed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=3, help="trials for an epsilon")
    parser.add_argument("--epsilons", type=float, nargs="*", default=EPSILONS)
    parser.add_argument("--lines", type=Path, help="printed lines, to draw from")
    parser.add_argument("--figure", type=Path, help="HTML file to draw into")
    args = parser.parse_args()
    if args.figure:
        if not args.lines:
            parser.error("--figure needs --lines")
        draw(args.lines, args.figure)
        return
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        clips = make_avatars(Path(scratch) / "avatars", **SHAPE)
        for line in trials(clips, args.trials, args.epsilons):
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
