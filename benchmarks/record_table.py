"""Records the tabular body: a few hundred small real runs, with several seeds, measured at every rung.

Every run is a point of a scrambled Sobol sequence over the space of `privacy_table.toml`, trained and measured on
built-in avatars by the body that studies use, once a seed; a seed is that of training and evaluation alike. Identity
and black-out are recorded too. A run that is done is a small file in ``--parts`` and is never done again, so the
recording may be stopped at any time; what is there is packed into one Parquet file, one row a rung.

Seconds are CPU seconds of a process with one thread: wall time would record what else ran on the machine.

    nice -n 19 python benchmarks/record_table.py --configurations 112 --seeds 0 1 --processes 2
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from scipy.stats import qmc

from anon_tune.clips import make_avatars
from anon_tune.search.parameters import Choices
from anon_tune.search.space import SearchSpace
from anon_tune.trial import ANCHORS, Ceilings, RungJob
from anon_tune.worker.body import ClipTrialBody

HERE = Path(__file__).parent
SPACE = HERE / "privacy_table.toml"
TABLE = HERE / "privacy_table.parquet"
CLIPS = {"num_train": 96, "num_val": 120, "num_test": 120, "num_frames": 3, "height": 16, "width": 16}


@dataclass(frozen=True)
class Run:
    """One run of the plan.

    Attributes:
        method: An anchor, or ``adversarial``.
        configuration: Number of the point, -1 for an anchor.
        params: What is searched.
        seed: Of training and evaluation.
    """

    method: str
    configuration: int
    params: Mapping[str, float | int]
    seed: int

    @property
    def name(self) -> str:
        """Name of its file."""
        return f"{self.method}-{max(self.configuration, 0):04d}-{self.seed}"


def points(space: SearchSpace, count: int) -> list[dict[str, float | int]]:
    """Return the first points of a scrambled Sobol sequence over a numeric space; more of them extend fewer."""
    rows = qmc.Sobol(len(space.search), seed=0).random(count)
    drawn: list[dict[str, float | int]] = []
    for row in rows:
        point: dict[str, float | int] = {}
        for u, (name, parameter) in zip(row, space.search.items(), strict=True):
            assert not isinstance(parameter, Choices)
            low, high = parameter.low, parameter.high
            if parameter.integer:
                point[name] = int(min(high, low + int(u * (high - low + 1))))
            elif parameter.log:
                point[name] = float(low * (high / low) ** u)
            else:
                point[name] = float(low + u * (high - low))
        drawn.append(point)
    return drawn


def plan(space: SearchSpace, count: int, seeds: list[int]) -> list[Run]:
    """Return all runs, anchors first: identity sets the ceilings."""
    anchors = [Run(method, -1, {}, seed) for method in ANCHORS for seed in seeds]
    return anchors + [
        Run("adversarial", i, point, seed) for i, point in enumerate(points(space, count)) for seed in seeds
    ]


def record(run: Run, clips: str, parts: str) -> str:
    """Do one run and leave its rows in a file of its own."""
    space = SearchSpace.load(SPACE)
    seeds = {"training.seed": run.seed, "evaluation.seed": run.seed}
    space = space.model_copy(update={"fixed": {**space.fixed, **seeds}})
    recipe = space.recipe(run.params, run.method)
    levels = space.levels(recipe)
    ceilings = {} if run.method == ANCHORS[0] else _ceilings(Path(parts), run.seed)
    body = ClipTrialBody(clips)
    rows = []
    with tempfile.TemporaryDirectory(prefix="record-") as scratch:
        for rung, step in enumerate(levels):
            full = rung == len(levels) - 1
            job = RungJob(run.name, recipe, f"{scratch}/{run.name}", rung, step, full, ceilings.get(full))
            before = time.process_time()
            report = body.advance(job)
            seconds = time.process_time() - before
            score = report.score
            row = {"method": run.method, "configuration": run.configuration, "seed": run.seed, **run.params}
            row |= {"rung": rung, "step": step, "full": full}
            for name in ("leakage", "accuracy"):
                row |= {f"{name}_{key}": value for key, value in asdict(getattr(score, name)).items()}
            row |= {"distortion": score.distortion, "seconds": seconds, "wall_seconds": report.seconds}
            row |= {"score_seconds": seconds * score.seconds / report.seconds}
            row |= {"num_train_clips": score.num_train_clips, "num_test_clips": score.num_test_clips}
            rows.append(row)
    file = Path(parts) / f"{run.name}.json"
    hidden = file.with_name(f".{file.name}.{os.getpid()}")
    hidden.write_text(json.dumps(rows), encoding="utf-8")
    hidden.replace(file)
    return f"{run.name}: {sum(row['seconds'] for row in rows):.1f} s"


def _ceilings(parts: Path, seed: int) -> dict[bool, Ceilings]:
    rows = json.loads((parts / f"{Run(ANCHORS[0], -1, {}, seed).name}.json").read_text(encoding="utf-8"))
    return {row["full"]: Ceilings(row["leakage_value"], row["accuracy_value"]) for row in rows}


def pack(space: SearchSpace, parts: Path, table: Path) -> dict[str, Any]:
    """Write the rows of all runs that are done into one file."""
    rows = [row for part in sorted(parts.glob("*.json")) for row in json.loads(part.read_text(encoding="utf-8"))]
    rows.sort(key=lambda row: (row["configuration"], row["method"], row["seed"], row["rung"]))
    names = list(dict.fromkeys(key for row in rows for key in row))
    integers = {
        name for name, parameter in space.search.items() if not isinstance(parameter, Choices) and parameter.integer
    }
    columns = {}
    for name in names:
        kind = pa.int32() if name in integers else None
        columns[name] = pa.array([row.get(name) for row in rows], type=kind)
    notes = {
        "clips": json.dumps(CLIPS),
        "space": SPACE.read_text(encoding="utf-8"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "versions": json.dumps({name: version(name) for name in ("torch", "numpy")}),
    }
    packed = pa.table(columns).replace_schema_metadata(notes)
    pq.write_table(packed, table, compression="zstd", compression_level=19)
    return {"table": str(table), "rows": packed.num_rows, "bytes": table.stat().st_size}


def main() -> None:
    """Record what is missing, pack what is there, print what it came to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--configurations", type=int, default=112)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--parts", default="runs/privacy_table", help="folder of the runs that are done")
    parser.add_argument("--table", default=str(TABLE), help="the file to write")
    parser.add_argument("--pack-only", action="store_true", help="record nothing")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    parts, space = Path(args.parts), SearchSpace.load(SPACE)
    parts.mkdir(parents=True, exist_ok=True)
    runs = [r for r in plan(space, args.configurations, args.seeds) if not (parts / f"{r.name}.json").exists()]
    if not args.pack_only and runs:
        clips = parts / "clips"
        if not clips.exists():
            make_avatars(clips, **CLIPS)
        with multiprocessing.get_context("spawn").Pool(args.processes) as pool:
            for batch in ([r for r in runs if r.configuration < 0], [r for r in runs if r.configuration >= 0]):
                # Identity before black-out: the pool hands runs out in order, and waits between the two kinds.
                for method in dict.fromkeys(r.method for r in batch):
                    todo = [(r, str(clips), str(parts)) for r in batch if r.method == method]
                    for done in [pool.apply_async(record, job) for job in todo]:
                        print(done.get(), flush=True)
    print(json.dumps(pack(space, parts, Path(args.table)), indent=2))


if __name__ == "__main__":
    main()
