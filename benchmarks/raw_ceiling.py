"""How much of what raw clips leak do a full score and a certificate find? Compares them with ten times the effort.

Normalized leakage divides by the leakage of raw clips, so attackers that are weak on raw clips make it mean nothing.
The attackers with ten times the effort are those of the full score, trained from scratch with ten times its steps; the
best of them and their committee counts. One JSON object is printed: leakage (cMAP) by seed.

    python benchmarks/raw_ceiling.py clips/ixmas16 --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from anon_tune.clips import Clips, ClipSet, open_clips
from anon_tune.evaluation import Effort, FixedSteps, Lab, measure, raw_networks
from anon_tune.evaluation.committee import with_committees
from anon_tune.evaluation.lab import strongest
from anon_tune.evaluation.raw_networks import weights_of
from anon_tune.export import load_method
from anon_tune.recipe import AuditRecipe, EvaluationRecipe

CPU = torch.device("cpu")


def full_score(clips: Clips, seed: int) -> float:
    """Return the leakage of raw clips by the full score of a study."""
    recipe = EvaluationRecipe(seed=seed)
    raw = raw_networks(clips, recipe, CPU)
    return measure(load_method("identity").anonymizer, clips, recipe, True, None, CPU, raw=raw).leakage.value


def certificate(splits: Mapping[str, ClipSet], seed: int) -> float:
    """Return the leakage of raw clips by a certificate with one seed, without its canaries."""
    lab = Lab(splits, Effort.of_audit(AuditRecipe(num_seeds=1, seed=seed)), CPU)
    fresh = list(lab.attacks([seed], {}))
    specs = {spec.name: spec for spec in lab.effort.attackers}
    further = [lab.attack(specs[name], "raw", seed, own) for (name, _), own in weights_of(fresh).items()]
    both = [
        *with_committees(fresh, splits["val"], splits["test"]),
        *with_committees(further, splits["val"], splits["test"]),
    ]
    return strongest(both).values["test"]


def ten_times(splits: Mapping[str, ClipSet], seed: int) -> dict[str, float]:
    """Return the leakage that each attacker of the full score finds with ten times its steps, and their committee."""
    recipe = EvaluationRecipe(seed=seed)
    usual = Effort.of_study(recipe, full=True)
    steps = FixedSteps(10 * recipe.full.attacker_steps)
    lab = Lab(splits, replace(usual, attack=steps, further=steps), CPU)
    attacks = with_committees(list(lab.attacks([seed], {})), splits["val"], splits["test"])
    return {attack.family: attack.values["test"] for attack in attacks}


def main() -> None:
    """Measure every seed and print the means and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", help="clip store")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    clips = open_clips(args.clips)
    splits = {name: clips.split(name) for name in ("train", "val", "test")}
    found: dict[str, list[float]] = {}
    for seed in args.seeds:
        for name, value in (("full", full_score), ("certificate", certificate), ("ten_times", ten_times)):
            begun = time.process_time()
            got = value(clips if name == "full" else splits, seed)
            values = {f"{name} {family}": one for family, one in got.items()} if isinstance(got, dict) else {name: got}
            for key, one in values.items():
                found.setdefault(key, []).append(one)
            told = ", ".join(f"{key} {one:.3f}" for key, one in values.items())
            print(f"seed {seed}: {told} ({time.process_time() - begun:.0f} CPU s)", file=sys.stderr, flush=True)
    means = {name: float(np.mean(values)) for name, values in found.items()}
    best = max(value for name, value in means.items() if name.startswith("ten_times"))
    ratios = {"full": means["full"] / best, "certificate": means["certificate"] / best}
    print(
        json.dumps(
            {"by_seed": found, "means": means, "best_with_ten_times_the_effort": best, "ratios": ratios}, indent=2
        )
    )


if __name__ == "__main__":
    main()
