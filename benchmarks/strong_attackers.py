"""Does a published network attack better than our small ones? Leakage and CPU seconds of attackers on the same clips.

Leakage is the cMAP on the test split of one attacker that is trained from scratch for a fixed number of steps. One JSON
object is printed.

    OMP_NUM_THREADS=1 python benchmarks/strong_attackers.py --clips clips/ixmas --steps 480 --seeds 1
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from anon_tune.attackers import find
from anon_tune.clips import open_clips
from anon_tune.clips.manifest import SPLITS
from anon_tune.evaluation import Effort, FixedSteps, Lab, anonymize_split
from anon_tune.methods import build_anonymizer, make_recipe
from anon_tune.recipe import EvaluationRecipe

CPU = torch.device("cpu")


def main() -> None:
    """Train every attacker with every seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", required=True)
    parser.add_argument("--method", default="identity", help="closed-form method before the attack")
    parser.add_argument("--attackers", nargs="+", default=["frame", "clip", "motion", "torchvision:resnet18"])
    parser.add_argument("--steps", type=int, default=480)
    parser.add_argument("--seeds", type=int, default=1)
    args = parser.parse_args()
    effort = replace(Effort.of_study(EvaluationRecipe(), full=True), attack=FixedSteps(args.steps))
    anonymizer = build_anonymizer(make_recipe({"method": args.method}, "--method"))
    clips = open_clips(args.clips)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        made = {n: anonymize_split(anonymizer, clips.split(n), Path(scratch) / n, 16, CPU).clips for n in SPLITS}
        lab = Lab(made, effort, CPU)
        for name in args.attackers:
            start = time.process_time()
            values = [lab.attack(find(name), "fresh", seed).values["test"] for seed in range(args.seeds)]
            seconds = (time.process_time() - start) / args.seeds
            found[name] = {"leakage": values, "mean": sum(values) / len(values), "cpu_s": seconds}
            print(f"{name}: {found[name]['mean']:.3f}, {seconds:.1f} CPU s", file=sys.stderr)
    print(json.dumps({"clips": args.clips, "method": args.method, "steps": args.steps, "attackers": found}))


if __name__ == "__main__":
    main()
