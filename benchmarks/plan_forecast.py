"""How good is the forecast of `anon-tune plan`? Plans a study, runs it, and compares.

Prints JSON: for the study with and without rungs, forecast and true seconds of all trials, of training and measuring,
and how many trials got a full score. ``ratio`` is forecast divided by truth. Trials run one at a time.

    python benchmarks/plan_forecast.py --space quickstart --trials 8
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from anon_tune.ledger import Ledger
from anon_tune.study_directory import StudyDirectory


def plan(args: argparse.Namespace) -> dict[str, Any]:
    """Return the plan of the study."""
    command = [sys.executable, "-m", "anon_tune", "plan", args.space, "--format", "json", *shared(args)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def shared(args: argparse.Namespace) -> list[str]:
    """Return the options that the plan and the study have in common."""
    settings = [word for text in args.set for word in ("--set", text)]
    return ["--clips", args.clips, "--trials", str(args.trials), "--max-concurrent", "1", *settings]


def study(args: argparse.Namespace, out: Path, rungs: bool) -> dict[str, Any]:
    """Run the study and return what it took."""
    command = [sys.executable, "-m", "anon_tune", "study", args.space, "--out", str(out), *shared(args)]
    command += ["--sampler", "qmc", "--no-tensorboard", "--rungs" if rungs else "--no-rungs"]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    trials = Ledger(StudyDirectory.at(out).ledger).trials()
    reports = [report for trial in trials for report in trial.reports]
    seconds, measuring = (sum(one) for one in zip(*((r.seconds, r.score.seconds) for r in reports), strict=True))
    own = [trial for trial in trials if not trial.is_anchor]
    return {
        "seconds": seconds,
        "measuring_share": measuring / seconds,
        "num_full_scores": sum(trial.score is not None for trial in own),
    }


def compare(forecast: dict[str, Any], truth: dict[str, Any]) -> dict[str, Any]:
    """Put a forecast beside the truth."""
    said = forecast["trial_hours"] * 3600
    return {
        "ratio": said / truth["seconds"],
        "seconds": {"forecast": said, "truth": truth["seconds"]},
        "num_full_scores": {"forecast": forecast["num_full_scores"], "truth": truth["num_full_scores"]},
        "measuring_share": {"forecast": forecast["measuring_share"], "truth": truth["measuring_share"]},
    }


def main() -> None:
    """Plan, run and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--space", default="quickstart")
    parser.add_argument("--clips", default="avatars")
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    args = parser.parse_args()
    load = os.getloadavg()[0]
    said = plan(args)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="anon-tune-") as scratch:
        for key, rungs in (("with_rungs", True), ("without_rungs", False)):
            if said[key] is not None:
                found[key] = compare(said[key], study(args, Path(scratch) / key, rungs))
    machine = {"cores": os.cpu_count(), "load_before": load, "python": platform.python_version()}
    print(json.dumps({**vars(args), "machine": machine, **found}, indent=2))


if __name__ == "__main__":
    main()
