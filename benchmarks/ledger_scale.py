"""What a ledger of thousands of trials costs: to append to, to read, and to report on.

Made-up trials (start, two rungs, full score; 5 attackers, 8 attributes; every second report with 30 points of losses).
At each asked size the folder is written at once, in the files that a writer would have left, then records
are appended one by one, the files counted and the whole read; on the largest one ``anon-tune front`` and ``anon-tune
report`` are run as commands. Prints JSON.

    python benchmarks/ledger_scale.py --trials 250 2500 10000 --folder runs/ledger_scale
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from anon_tune.folder import Folder
from anon_tune.ledger import Ledger, parts
from anon_tune.ledger.record import report_row, trial_row
from anon_tune.search.space import SearchSpace
from anon_tune.study.frozen_study import freeze_study
from anon_tune.study.settings import StudySettings
from anon_tune.trial import Cost, LossPoint, Reading, RungReport, Score, Trial, TrialState

FAMILIES = ("frame", "clip", "motion", "pairs", "pose")
ATTRIBUTES = tuple(f"attribute-{index}" for index in range(8))
STEPS = (20, 60, 160)
TERMS = ("utility", "privacy", "penalty", "distortion")
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
    curve = tuple(
        LossPoint(step, dict(zip(TERMS, rng.uniform(0, 1, 4).tolist(), strict=True))) for step in range(num_points)
    )
    file = f"trials/{name}/anonymizer.safetensors"
    return RungReport(name, rung, STEPS[rung], score, curve, 9.5, "node-1", file, Cost(19.0, 9.5, 0.01), 0.0)


def reading(value: float, floor: float, ceiling: float) -> Reading:
    """Make a reading with an interval."""
    return Reading(value, floor, ceiling, max(value - 0.03, 0.0), min(value + 0.03, 1.0), value + 0.002)


def timed(command: list[str]) -> dict[str, float]:
    """Run a command; return its seconds, those of a CPU, and its peak memory."""
    before = time.perf_counter()
    code = f"import resource, subprocess; subprocess.run({command!r}, check=True, stdout=subprocess.DEVNULL); "
    code += "used = resource.getrusage(resource.RUSAGE_CHILDREN); "
    code += "print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    cpu_s, peak_mb = (round(float(number), 1) for number in done.stdout.split())
    return {"seconds": round(time.perf_counter() - before, 2), "cpu_s": cpu_s, "peak_mb": peak_mb}


def written_at_once(folder: Path, rows: list[Any]) -> None:
    """Write records in the files that a ledger of so many has."""
    folder.mkdir(parents=True)
    left = rows
    while left:
        size = next(size for size in (*reversed(parts._SIZES), 1) if size <= len(left))
        parts._write_part(Folder.at(folder), pa.concat_tables(left[:size]).combine_chunks())
        left = left[size:]


def state_of(folder: Path, appended: list[tuple[Trial, RungReport | None]]) -> dict[str, Any]:
    """Append records to a ledger, read it, and return what that took."""
    ledger = Ledger(folder)
    wall, cpu = [], []
    for trial, sent in appended:
        start, cpu_start = time.perf_counter(), time.process_time()
        ledger.append(trial, sent)
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - cpu_start)
    start, cpu_start = time.perf_counter(), time.process_time()
    trials = Ledger(folder).trials()
    read_s, read_cpu_s = time.perf_counter() - start, time.process_time() - cpu_start
    return {
        "trials": len(trials),
        "records": max(part.last for part in parts.list_parts(Folder.at(folder))) + 1,
        "files": len(parts.list_parts(Folder.at(folder))),
        "megabytes": round(sum(file.stat().st_size for file in folder.iterdir()) / 1e6, 2),
        "appended": len(wall),
        "append_ms": {
            "mean": round(1000 * statistics.fmean(wall), 2),
            "median": round(1000 * statistics.median(wall), 2),
            "longest": round(1000 * max(wall), 1),
            "cpu_mean": round(1000 * statistics.fmean(cpu), 2),
        },
        "read_s": round(read_s, 2),
        "read_cpu_s": round(read_cpu_s, 2),
    }


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[250, 2500, 10_000], help="sizes, smallest first")
    parser.add_argument("--appends", type=int, default=512, help="records appended one by one at each size")
    parser.add_argument("--folder", type=Path, help="new folder for the studies; a temporary one if left out")
    options = parser.parse_args()
    everything = list(records(max(options.trials)))
    rows = [trial_row(n, t, {} if r is None else report_row(r)) for n, (t, r) in enumerate(everything)]
    with tempfile.TemporaryDirectory() as scratch:
        states = []
        for num_trials in options.trials:
            directory = (options.folder or Path(scratch)) / str(num_trials)
            num_records = sum(1 for _ in records(num_trials))
            directory.mkdir(parents=True)
            freeze_study(directory, SearchSpace.load(SPACE), StudySettings(num_trials=num_trials, clips="avatars"))
            at_once = max(num_records - options.appends, 0)
            written_at_once(directory / "ledger", rows[:at_once])
            states.append(state_of(directory / "ledger", everything[at_once:num_records]))
        program = [sys.executable, "-m", "anon_tune"]
        found = {
            "ledgers": states,
            "front": timed([*program, "front", str(directory), "--format", "json"]),
            "report": timed([*program, "report", str(directory)]),
            "report_megabytes": round((directory / "report.html").stat().st_size / 1e6, 1),
        }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
