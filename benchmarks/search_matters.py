"""Does the search matter? Our sampler and rungs against random sampling without early stopping.

Runs the same space on the same clips with the same number of trials and seeds, one study after the other,
through the command line. Prints JSON: what came of every study, and for each seed the hypervolume of both at equal
cost, which is that of the cheaper study (CPU seconds reserved, anchors included).

    python benchmarks/search_matters.py --trials 16 --seeds 0 1 2 --out runs/search_matters
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from anon_tune.ledger import Ledger
from anon_tune.pareto import growth

ARMS = {"ours": [], "random": ["--sampler", "random", "--no-rungs"]}


def run(arm: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Run one study and read its front."""
    directory = Path(args.out) / f"{arm}-{seed}"
    tool = [sys.executable, "-m", "anon_tune"]
    study = [*tool, "study", args.space, "--clips", args.clips, "--out", str(directory)]
    start = time.monotonic()
    subprocess.run(
        [*study, "--trials", str(args.trials), "--seed", str(seed), *ARMS[arm]], check=True, stdout=sys.stderr
    )
    seconds = time.monotonic() - start
    command = [*tool, "front", str(directory), "--all", "--format", "json"]
    front = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    states = [trial["state"] for trial in front["trials"] if trial["method"] == "adversarial"]
    return {
        "arm": arm,
        "seed": seed,
        "hypervolume": front["hypervolume"],
        "complete": states.count("COMPLETE"),
        "pruned": states.count("PRUNED"),
        "trial_seconds": sum(trial["seconds"] for trial in front["trials"]),
        "wall_seconds": seconds,
        "course": [(p.cost.cpu_s, p.hypervolume) for p in growth(Ledger(directory / "ledger").trials())],
    }


def at_equal_cost(runs: list[dict[str, Any]]) -> dict[str, float | None]:
    """Compare the studies of one seed, each with its course: cost so far and hypervolume, from trial to trial."""
    cost = min(run["course"][-1][0] for run in runs)
    reached = {
        run["arm"]: max((volume for spent, volume in run["course"] if spent <= cost), default=0.0) for run in runs
    }
    ratio = reached["ours"] / reached["random"] if reached["random"] > 0 else None
    return {"seed": runs[0]["seed"], "cpu_s": cost, **reached, "ratio": ratio}


def main() -> None:
    """Run all arms and seeds, interleaved, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--space", default="search_spaces/quickstart.toml")
    parser.add_argument("--clips", default="avatars")
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", default="runs/search_matters")
    args = parser.parse_args()
    runs = [run(arm, seed, args) for seed in args.seeds for arm in ARMS]
    machine = {"cores": os.cpu_count(), "processor": platform.machine(), "python": platform.python_version()}
    compared = [at_equal_cost([run for run in runs if run["seed"] == seed]) for seed in args.seeds]
    for one in runs:
        del one["course"]
    print(json.dumps({**vars(args), "machine": machine, "runs": runs, "at equal cost": compared}, indent=2))


if __name__ == "__main__":
    main()
