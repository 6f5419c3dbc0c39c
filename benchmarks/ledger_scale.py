"""What a ledger of thousands of trials costs: to append to, to read, and to report on.

Made-up trials (start, two rungs, full score; 5 attackers, 8 attributes; every second report with 30 points of losses)
are appended one by one, as a study does. At the asked sizes the folder is read and counted, and after the last one
``anon-tune front`` and ``anon-tune report`` are run as commands. Prints JSON.

    python benchmarks/ledger_scale.py --trials 10000 --at 1000 10000 40000 --folder runs/ledger_scale
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from anon_tune.ledger import Ledger
from anon_tune.study.settings import StudySettings, freeze_study
from anon_tune.study.space import SearchSpace
from anon_tune.trial import Cost, LossPoint, Reading, RungReport, Score, Trial, TrialState

FAMILIES = ("frame", "clip", "motion", "pairs", "pose")
ATTRIBUTES = tuple(f"attribute-{index}" for index in range(8))
STEPS = (20, 60, 160)
SPACE = Path(__file__).parents[1] / "search_spaces" / "penalty.toml"


def records(num_trials: int) -> Iterator[tuple[Trial, RungReport | None]]:
    """Yield what a study of so many trials, anchors not counted, appends to its ledger."""
    rng = np.random.default_rng(0)
    for name, leakage, accuracy in (("identity", 0.95, 0.95), ("black-out", 0.3, 0.2)):
        anchor = Trial(name, -1, name, {}, "f" * 16, TrialState.COMPLETE)
        yield anchor, report(name, 2, leakage, accuracy, rng)
    for number in range(num_trials):
        yield from trial_records(number, rng)


def trial_records(number: int, rng: np.random.Generator) -> Iterator[tuple[Trial, RungReport | None]]:
    """Yield a trial's start and three reports."""
    threshold = float(rng.uniform(0.02, 0.3))
    params: dict[str, float | int | str | bool] = {
        "penalty.on": str(rng.choice(["pixels", "features"])),
        "penalty.threshold": threshold,
        "penalty.weight.kind": str(rng.choice(["constant", "linear", "cosine"])),
        "penalty.weight.start": float(10 ** rng.uniform(-1, 1)),
    }
    if params["penalty.weight.kind"] != "constant":
        params["penalty.weight.end"] = float(10 ** rng.uniform(-1, 1))
    trial = Trial(f"{number:04d}", number, "adversarial", params, f"{number:016x}", TrialState.RUNNING)
    yield trial, None
    hidden = float(np.clip(threshold / 0.3 + rng.normal(0, 0.1), 0, 1))
    leakage = 0.95 - 0.6 * hidden**0.8
    accuracy = 0.95 - 0.6 * hidden**2.5 - abs(float(rng.normal(0, 0.1)))
    for rung in range(3):
        state = TrialState.COMPLETE if rung == 2 else TrialState.RUNNING
        fields = {name: getattr(trial, name) for name in ("id", "number", "method", "params", "fingerprint")}
        yield Trial(**fields, state=state), report(trial.id, rung, leakage, accuracy, rng)


def report(name: str, rung: int, leakage: float, accuracy: float, rng: np.random.Generator) -> RungReport:
    """Make a report about the given values."""
    score = Score(
        full=rung == 2,
        leakage=reading(leakage, 0.3, 0.95),
        accuracy=reading(accuracy, 0.2, 0.95),
        attackers={family: leakage - 0.01 * index for index, family in enumerate(FAMILIES)},
        attributes={attribute: leakage + 0.01 * index for index, attribute in enumerate(ATTRIBUTES)},
        distortion=0.1,
        num_train_clips=320,
        num_test_clips=160,
        seed=0,
        seconds=3.0,
        seconds_per_frame=0.002,
    )
    num_points = 30 if rng.random() < 0.5 else 0
    curve = tuple(LossPoint(step, *rng.uniform(0, 1, 4).tolist()) for step in range(num_points))
    file = f"trials/{name}/anonymizer.safetensors"
    return RungReport(name, rung, STEPS[rung], score, curve, 9.5, "node-1", file, Cost(19.0, 9.5, 0.01), 0.0)


def reading(value: float, floor: float, ceiling: float) -> Reading:
    """Make a reading with an interval."""
    return Reading(value, floor, ceiling, max(value - 0.03, 0.0), min(value + 0.03, 1.0), value + 0.002)


def timed(command: list[str]) -> dict[str, float]:
    """Run a command; return its seconds and its peak memory in MB."""
    before = time.perf_counter()
    code = f"import resource, subprocess, sys; subprocess.run({command!r}, check=True, stdout=subprocess.DEVNULL); "
    code += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return {"seconds": round(time.perf_counter() - before, 2), "peak_mb": round(float(done.stdout), 1)}


def state_of(folder: Path, seconds: list[float]) -> dict[str, Any]:
    """Return what the ledger costs now."""
    start = time.perf_counter()
    trials = Ledger(folder).trials()
    read_s = time.perf_counter() - start
    start = time.perf_counter()
    return {
        "records": len(seconds),
        "trials": len(trials),
        "files": len(list(folder.iterdir())),
        "megabytes": round(sum(file.stat().st_size for file in folder.iterdir()) / 1e6, 2),
        "append_ms_mean": round(1000 * statistics.fmean(seconds), 3),
        "append_ms_median": round(1000 * statistics.median(seconds), 3),
        "append_ms_longest": round(1000 * max(seconds), 1),
        "append_ms_mean_of_last_1000": round(1000 * statistics.fmean(seconds[-1000:]), 3),
        "read_s": round(read_s, 2),
    }


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--at", type=int, nargs="*", default=[1000, 10_000, 40_000], help="records to measure at")
    parser.add_argument("--folder", type=Path, help="new study directory; a temporary one if left out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        directory = options.folder or Path(scratch) / "study"
        directory.mkdir(parents=True)
        freeze_study(directory, SearchSpace.load(SPACE), StudySettings(num_trials=options.trials, clips="avatars"))
        ledger = Ledger(directory / "ledger")
        seconds: list[float] = []
        states = []
        for trial, sent in records(options.trials):
            start = time.perf_counter()
            ledger.append(trial, sent)
            seconds.append(time.perf_counter() - start)
            if len(seconds) in options.at:
                states.append(state_of(ledger.folder, seconds))
        program = [sys.executable, "-m", "anon_tune"]
        found = {
            "ledger": states,
            "front": timed([*program, "front", str(directory), "--format", "json"]),
            "report": timed([*program, "report", str(directory)]),
            "report_megabytes": round((directory / "report.html").stat().st_size / 1e6, 1),
            "own_peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
