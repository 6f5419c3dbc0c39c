"""Does the search matter? Our sampler and rungs against random sampling without early stopping.

Runs the same space on the same clips with the same number of trials and seeds, one study after the other,
through the command line, and prints JSON: hypervolume and seconds of every study.

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

ARMS = {"ours": [], "random": ["--sampler", "random", "--no-rungs"]}


def run(arm: str, seed: int, args: argparse.Namespace) -> dict[str, float | int | str]:
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
    }


def main() -> None:
    """Run all arms and seeds, interleaved, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--space", default="benchmarks/search_matters.toml")
    parser.add_argument("--clips", default="avatars")
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", default="runs/search_matters")
    args = parser.parse_args()
    runs = [run(arm, seed, args) for seed in args.seeds for arm in ARMS]
    machine = {"cores": os.cpu_count(), "processor": platform.machine(), "python": platform.python_version()}
    print(json.dumps({**vars(args), "machine": machine, "runs": runs}, indent=2))


if __name__ == "__main__":
    main()
