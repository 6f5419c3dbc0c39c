"""What each ingredient of the frame attacker is worth: trained with all of them, and again without each one alone.

Leakage is the cMAP on the test split of one attacker that is trained from scratch, in the mean over seeds, with the CPU
seconds of a training. One JSON object is printed.

    OMP_NUM_THREADS=1 python benchmarks/attack_ingredients.py --clips clips/ixmas --steps 480 --seeds 3
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anon_tune.attackers import AttackerSpec, Setting, find
from anon_tune.clips import ClipSet, open_clips
from anon_tune.clips.manifest import SPLITS
from anon_tune.evaluation import Effort, FixedSteps, Lab, anonymize_split
from anon_tune.methods import build_anonymizer, make_recipe
from anon_tune.recipe import EvaluationRecipe

CPU = torch.device("cpu")
Splits = Mapping[str, ClipSet]


class Frames(nn.Module):
    """The frame attacker with other parts; shapes as in `anon_tune.networks.clip_readers`."""

    def __init__(self, setting: Setting, depth: int, batch_norm: bool, num_seen: int) -> None:
        super().__init__()
        self.num_seen = num_seen
        channels = [3, *(setting.width * 2 ** min(at, 3) for at in range(depth))]
        layers: list[nn.Module] = []
        for a, b in pairwise(channels):
            norm = nn.BatchNorm2d(b) if batch_norm else nn.GroupNorm(4, b)
            layers += [nn.Conv2d(a, b, 3, stride=2, padding=1, bias=not batch_norm), norm, nn.ReLU()]
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Linear(channels[-1] * 16, setting.num_attributes)

    def forward(self, clips: Tensor) -> Tensor:
        """Map clips (B,T,C,H,W) in [0, 1] to logits (B,A)."""
        if self.training and self.num_seen < clips.shape[1]:
            clips = clips[:, torch.randperm(clips.shape[1])[: self.num_seen]]
        features = self.trunk(((clips - 0.5) * 4).flatten(0, 1))
        logits: Tensor = self.head(F.adaptive_avg_pool2d(features, 4).flatten(1))
        return logits.view(*clips.shape[:2], -1).mean(dim=1)


def variants(depth: int) -> Iterator[tuple[str, AttackerSpec, bool]]:
    """Yield name, spec, and whether categories are learned as such."""
    ours = find("frame")

    def other(name: str, depth: int = depth, batch_norm: bool = True, num_seen: int = 1) -> AttackerSpec:
        return replace(ours, name=name, build=lambda setting: Frames(setting, depth, batch_norm, num_seen))

    yield "ours", ours, True
    yield "binary outputs in place of a softmax", ours, False
    yield "no mirror images", replace(ours, mirrors=False), True
    yield "no shifts", replace(ours, max_shift=0.0), True
    yield "groups normalized in place of batches", other("groups", batch_norm=False), True
    yield "one layer less", other("shallow", depth=depth - 1), True
    yield "all frames in a step", other("frames", num_seen=sys.maxsize), True


def splits_of(location: str, method: str, scratch: Path) -> Splits:
    """Return the splits of a store after a closed-form method."""
    clips = open_clips(location)
    anonymizer = build_anonymizer(make_recipe({"method": method}, "--method"))
    return {n: anonymize_split(anonymizer, clips.split(n), scratch / n, 16, CPU).clips for n in SPLITS}


def main() -> None:
    """Train every variant with every seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", required=True)
    parser.add_argument("--method", default="identity", help="closed-form method before the attack")
    parser.add_argument("--steps", type=int, default=480)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    effort = replace(Effort.of_study(EvaluationRecipe(), full=True), attack=FixedSteps(args.steps))
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        splits = splits_of(args.clips, args.method, Path(scratch))
        _, _, height, width, _ = splits["train"].frames.shape
        from anon_tune.networks.clip_readers import depth_for

        for name, spec, categorical in variants(depth_for(height, width)):
            seen = splits if categorical else {n: replace(s, categories=()) for n, s in splits.items()}
            lab = Lab(seen, effort, CPU)
            start = time.process_time()
            values = [lab.attack(spec, "fresh", seed).values["test"] for seed in range(args.seeds)]
            seconds = (time.process_time() - start) / args.seeds
            found[name] = {"leakage": values, "mean": sum(values) / len(values), "cpu_s": seconds}
            print(f"{name}: {found[name]['mean']:.3f}, {seconds:.1f} s", file=sys.stderr)
    print(json.dumps({"clips": args.clips, "method": args.method, "steps": args.steps, "variants": found}, indent=2))


if __name__ == "__main__":
    main()
