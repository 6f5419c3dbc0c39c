"""Records the tables that searches are compared on: real runs at the quickstart's effort, measured at every rung.

A table holds points of a scrambled Sobol sequence over the space of `recorded.toml`, each trained and measured by the
body that studies use, once per seed; a seed is that of training and evaluation alike. There is one table of built-in
avatars (50 points) and one of IXMAS (25 points), beside the anchors. The recorder goes on from the tables that are
there, alternates between them and writes a run as soon as it is done, so it may be stopped at any time.

Seconds are CPU seconds of a process with one thread: wall time would record what else ran on the machine.

    OMP_NUM_THREADS=1 nice -n 19 python benchmarks/record_table.py --ixmas clips/ixmas --processes 1
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import platform
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

from recorded import HERE, Row, read_rows, recorded_space, table_file, write_rows
from scipy.stats import qmc

from anon_tune.clips import make_avatars, open_clips
from anon_tune.errors import AnonTuneError
from anon_tune.recipe import Recipe
from anon_tune.recipe.measuring import MEASURE_VERSION
from anon_tune.search.parameters import Choices
from anon_tune.search.space import SearchSpace
from anon_tune.trial import ANCHORS, Ceilings, RungJob
from anon_tune.worker.body import ClipTrialBody

NUM_POINTS = {"avatars": 50, "ixmas": 25}


@dataclass(frozen=True)
class Run:
    """One run of the plan.

    Attributes:
        clips: Name of the set of clips.
        method: An anchor, or ``adversarial``.
        configuration: Number of the point, -1 for an anchor.
        params: What is searched.
        seed: Of training and evaluation.
    """

    clips: str
    method: str
    configuration: int
    params: Mapping[str, float | int]
    seed: int

    @property
    def key(self) -> tuple[str, int, int]:
        """What tells it from the other runs of its table."""
        return self.method, self.configuration, self.seed


@dataclass
class Table:
    """A table that grows.

    Attributes:
        file: Where it lies.
        store: The clip store.
        baselines: Folder of the attackers that were trained on raw clips.
        notes: What is noted in the file.
        rows: One per rung.
    """

    file: Path
    store: str
    baselines: str
    notes: dict[str, str]
    rows: list[Row]

    def has(self, run: Run) -> bool:
        """Whether a run is recorded, to its end."""
        return any(row["full"] and run.key == (row["method"], row["configuration"], row["seed"]) for row in self.rows)

    def ceilings(self, seed: int) -> dict[bool, Ceilings]:
        """Return what the raw clips gave, by whether the score is full."""
        rows = [row for row in self.rows if row["method"] == ANCHORS[0] and row["seed"] == seed]
        return {row["full"]: Ceilings(row["leakage_value"], row["accuracy_value"]) for row in rows}


def points(space: SearchSpace, count: int) -> list[dict[str, float | int]]:
    """Return the first points of a scrambled Sobol sequence over a numeric space; more of them extend fewer."""
    rows = qmc.Sobol(len(space.search), seed=0).random_base2(math.ceil(math.log2(count)))[:count]
    drawn: list[dict[str, float | int]] = []
    for row in rows:
        point: dict[str, float | int] = {}
        for u, (name, parameter) in zip(row, space.search.items(), strict=True):
            assert not isinstance(parameter, Choices)
            low, high = float(parameter.low), float(parameter.high)
            top = high + 1 if parameter.integer else high
            value = low * (top / low) ** u if parameter.log else low + u * (top - low)
            point[name] = min(int(high), int(value)) if parameter.integer else float(value)
        drawn.append(point)
    return drawn


def plan(space: SearchSpace, name: str, count: int, seeds: Sequence[int]) -> list[Run]:
    """Return the runs of one table, anchors first: identity sets the ceilings."""
    anchors = [Run(name, method, -1, {}, seed) for method in ANCHORS for seed in seeds]
    return anchors + [
        Run(name, "adversarial", i, point, seed) for i, point in enumerate(points(space, count)) for seed in seeds
    ]


def alternate(plans: Mapping[str, Sequence[Run]]) -> list[Run]:
    """Return the runs of all tables, so that every prefix holds of each the share that the whole holds."""
    return sorted(chain(*plans.values()), key=lambda run: (run.configuration + 1) / NUM_POINTS[run.clips])


def record(run: Run, store: str, baselines: str, ceilings: Mapping[bool, Ceilings]) -> tuple[Run, list[Row]]:
    """Do one run; return its rows."""
    space = recorded_space()
    seeds = {"training.seed": run.seed, "evaluation.seed": run.seed}
    space = space.model_copy(update={"fixed": {**space.fixed, **seeds}})
    recipe = space.recipe(run.params, run.method)
    levels = space.levels(recipe)
    body, rows = ClipTrialBody(store, baselines=baselines), []
    with tempfile.TemporaryDirectory(prefix="record-") as scratch:
        for rung, step in enumerate(levels):
            full = rung == len(levels) - 1
            job = RungJob("0000", recipe, f"{scratch}/0000", rung, step, full, ceilings.get(full))
            before = time.process_time()
            report = body.advance(job)
            seconds = time.process_time() - before
            score = report.score
            row: Row = {"method": run.method, "configuration": run.configuration, "seed": run.seed, **run.params}
            row |= {"rung": rung, "step": step, "full": full, "attackers": json.dumps(dict(score.attackers))}
            for name in ("leakage", "accuracy"):
                row |= {f"{name}_{key}": value for key, value in asdict(getattr(score, name)).items()}
            row |= {"distortion": score.distortion, "seconds": seconds, "wall_seconds": report.seconds}
            row |= {"score_seconds": seconds * score.seconds / report.seconds}
            row |= {"num_train_clips": score.num_train_clips, "num_test_clips": score.num_test_clips}
            rows.append(row)
    return run, rows


def open_table(name: str, store: Path, folder: Path, scratch: Path, space: SearchSpace) -> Table:
    """Return the table of a set of clips with what it holds already."""
    clips = open_clips(str(store))
    notes = {
        "versions": f"recipe {Recipe.version}, measurement {MEASURE_VERSION}",
        "clips": f"{clips.num_clips} of {clips.shape}, {clips.fingerprint}",
    }
    file = table_file(name, folder)
    rows = read_rows(file, space, **notes) if file.exists() else []
    return Table(file, str(store), str(scratch / f"{name}-baselines"), notes, rows)


def grow(tables: Mapping[str, Table], runs: Sequence[Run], space: SearchSpace, processes: int) -> None:
    """Do the runs that are missing, identity before the others, and write each as soon as it is done."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    machine += f", torch {version('torch')}, numpy {version('numpy')}"
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for is_ceiling in (True, False):
            todo = [r for r in runs if (r.method == ANCHORS[0]) == is_ceiling and not tables[r.clips].has(r)]
            jobs = []
            for run in todo:
                table = tables[run.clips]
                ceilings = {} if is_ceiling else table.ceilings(run.seed)
                jobs.append((run, table.store, table.baselines, ceilings))
            waiting = [pool.apply_async(record, job) for job in jobs]
            for done in waiting:
                run, rows = done.get()
                table = tables[run.clips]
                table.rows = [
                    row for row in table.rows if (row["method"], row["configuration"], row["seed"]) != run.key
                ]
                table.rows += rows
                write_rows(table.rows, table.file, space, **table.notes, machine=machine)
                print(f"{run.clips} {run.key}: {sum(row['seconds'] for row in rows):.1f} s", flush=True)


def main() -> None:
    """Record what is missing, print what is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ixmas", help="clip store of IXMAS; without it only avatars are recorded")
    parser.add_argument("--out", default=str(HERE), help="folder of the tables")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--scratch", default="runs/recorded", help="folder of clips and attackers, made if missing")
    parser.add_argument("--at-most", type=int, help="number of runs to do")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    space, scratch, folder = recorded_space(), Path(args.scratch), Path(args.out)
    try:
        if not (scratch / "avatars").exists():
            make_avatars(scratch / "avatars")
        stores = {"avatars": scratch / "avatars"} | ({"ixmas": Path(args.ixmas)} if args.ixmas else {})
        tables = {name: open_table(name, store, folder, scratch, space) for name, store in stores.items()}
        plans = {name: plan(space, name, NUM_POINTS[name], args.seeds) for name in tables}
        runs = [run for run in alternate(plans) if not tables[run.clips].has(run)]
        grow(tables, runs[: args.at_most], space, args.processes)
    except AnonTuneError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    found: dict[str, Any] = {}
    for name, table in tables.items():
        done = {(row["method"], row["configuration"], row["seed"]) for row in table.rows if row["full"]}
        found[name] = {"table": str(table.file), "runs": len(done), "bytes": table.file.stat().st_size}
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
