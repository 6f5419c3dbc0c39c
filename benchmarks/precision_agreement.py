"""Do games with the fast options find what plain float32 finds? Leakage and accuracy, seed by seed.

Each seed is trained twice from the same weights on the same batches, with all options off and with the options of
`trainer_speed.py` (bfloat16, fused, channels_last), and both anonymizers are measured alike, in float32. Prints one
JSON object: both scores of every seed, the mean difference and its standard error, and how far seeds of plain float32
differ among themselves, which is what a difference has to be compared with.

    python benchmarks/precision_agreement.py --seeds 5
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from trainer_speed import ARMS

from anon_tune.clips import Clips, make_avatars
from anon_tune.evaluation import measure
from anon_tune.methods import build_anonymizer, make_recipe
from anon_tune.training import Trainer

CPU = torch.device("cpu")
SCORES = ("leakage", "accuracy")


def play(clips: Clips, values: dict[str, Any]) -> dict[str, float]:
    """Train an anonymizer and measure it; return its scores and the CPU seconds of training."""
    recipe = make_recipe(values)
    sizes = len(clips.actions), len(clips.attributes)
    trainer = Trainer(recipe, lambda: build_anonymizer(recipe), clips.split("train"), *sizes, CPU)
    start = time.process_time()
    trainer.train_until(recipe.training.num_steps)
    seconds = time.process_time() - start
    score = measure(trainer.anonymizer, clips, recipe.evaluation, True, None, CPU)
    return {"leakage": score.leakage.value, "accuracy": score.accuracy.value, "training_cpu_s": seconds}


def summary(rounds: list[dict[str, dict[str, float]]], arm: str) -> dict[str, Any]:
    """Return how far an arm is from plain float32, and plain float32 from itself."""
    found: dict[str, Any] = {}
    for name in SCORES:
        plain, other = ([one[key][name] for one in rounds] for key in ("default", arm))
        differences = [b - a for a, b in zip(plain, other, strict=True)]
        many = len(rounds) > 1
        found[name] = {
            "mean_difference": statistics.mean(differences),
            "standard_error": statistics.stdev(differences) / len(rounds) ** 0.5 if many else None,
            "largest_difference": max(map(abs, differences)),
            "deviation_over_seeds": statistics.stdev(plain) if many else None,
        }
    return found


def main() -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arm", choices=sorted(ARMS.keys() - {"default"}), default="bfloat16")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--num-clips", type=int, default=240, help="clips to train on, and half as many to test")
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="values of the recipe")
    args = parser.parse_args()
    chosen = dict(one.split("=", 1) for one in args.set)
    with tempfile.TemporaryDirectory() as folder:
        counts = {"num_train": args.num_clips, "num_val": args.num_clips // 2, "num_test": args.num_clips // 2}
        clips = make_avatars(Path(folder) / "avatars", height=args.side, width=args.side, **counts)
        rounds = [
            {key: play(clips, {**chosen, **ARMS[key], "training.seed": seed}) for key in ("default", args.arm)}
            for seed in range(args.seeds)
        ]
    print(json.dumps({**summary(rounds, args.arm), "on": ARMS[args.arm], "rounds": rounds, "set": args.set,
                      "torch": torch.__version__, "load": os.getloadavg()[0]}))  # fmt: skip


if __name__ == "__main__":
    main()
