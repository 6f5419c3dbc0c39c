"""What does the platform itself cost? Empty, real, sleeping and very many trials.

Prints JSON. ``empty``: seconds of a trial whose body does nothing, ours and plain Ray Tune in turns. ``real``: of the
time that trials could have used, the share in which they trained and measured. ``nodes``: sleeping trials a second on
1, 2, 4 and 8 workers, on Ray nodes of two CPUs on this machine. ``real-nodes``: real trials an hour on 1, 2 and 4 nodes
of one CPU. ``scale``: an analytic body, thousands of trials, in virtual time and, with ``--ray``, through Tune:
milliseconds a trial, block by block, memory, and the time to read and to report.

    python benchmarks/overhead.py --parts empty real nodes real-nodes
    python benchmarks/overhead.py --parts scale --trials 10000
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from anon_tune.driver.run import run_study
from anon_tune.ledger import Ledger
from anon_tune.search.proposer import Proposer
from anon_tune.search.space import SearchSpace
from anon_tune.study.bookkeeper import Bookkeeper
from anon_tune.study.frozen_study import freeze_study
from anon_tune.study.settings import StudySettings
from anon_tune.study.virtual_time import VirtualClock, drive
from anon_tune.trackers.optuna_storage import OptunaMirror
from anon_tune.trial import Reading, RungJob, RungReport, Score, TrialState

QUIET = {"RAY_AIR_NEW_OUTPUT": "0", "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1", "RAY_AUTH_TOKEN": "a" * 32}


def space(rungs: bool = False) -> SearchSpace:
    """Return two numbers to search."""
    tables: dict[str, Any] = {
        "fixed": {"training.num_steps": 90},
        "search": {
            "penalty.weight": {"low": 0.1, "high": 10.0, "log": True},
            "penalty.threshold": {"low": 0.0, "high": 0.3},
        },
        "study": {"rungs": {"min_steps": 10, "factor": 3} if rungs else False},
    }
    return SearchSpace.from_tables(tables, "overhead")


@dataclass(frozen=True)
class Analytic:
    """A noisy trade-off that takes no time, or sleeps."""

    seconds: float = 0.0

    def advance(self, job: RungJob) -> RungReport:
        """Sleep, and measure."""
        time.sleep(self.seconds)
        noise = random.Random(f"{job.trial_id} {job.rung}")
        place = (math.log10(job.recipe.penalty.weight.start) + 1) / 2
        hurt = abs(job.recipe.penalty.threshold.start - 0.12)
        losses = 0.4 + 0.4 * place + hurt, 0.9 - 0.5 * (1 - math.sqrt(max(place, 0.0))) - hurt
        readings = [Reading(v + noise.gauss(0, 0.02), 0.2, 0.95, v, v, v + noise.gauss(0, 0.02)) for v in losses]
        score = Score(job.full, *readings, {}, {}, 0.1, 1, 1, 0, 0.0, seconds_per_frame=0.01)
        return RungReport(job.trial_id, job.rung, job.step, score, (), max(self.seconds, job.step), "here", "")


def timed_study(body: Any, num_trials: int, folder: Path, **settings: Any) -> float:
    """Return the seconds of a study's trials on the Ray that is there."""
    start = time.monotonic()
    run_study(folder, space(), body, StudySettings(num_trials=num_trials, sampler="random", **settings))
    return time.monotonic() - start


def plain_tune(num_trials: int, seconds: float, folder: Path) -> float:
    """Return the seconds of as many trials of plain Ray Tune, with workers that are reused as ours are."""
    from ray import tune

    def trial(config: dict[str, float]) -> None:
        time.sleep(seconds)
        tune.report({"leakage": config["x"], "accuracy": config["x"]})

    start = time.monotonic()
    tune.run(
        trial,
        config={"x": tune.uniform(0, 1)},
        num_samples=num_trials,
        resources_per_trial={"cpu": 1},
        reuse_actors=True,
        storage_path=str(folder),
        verbose=0,
    )
    return time.monotonic() - start


def empty(folder: Path, num_trials: int) -> dict[str, Any]:
    """Compare empty trials, three rounds in turns."""
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    rounds = []
    for at in range(3):
        ours = timed_study(Analytic(), num_trials, folder / f"ours-{at}") / (num_trials + 2)
        plain = plain_tune(num_trials, 0.0, folder / f"plain-{at}") / num_trials
        rounds.append({"ours_s_a_trial": round(ours, 3), "plain_tune_s_a_trial": round(plain, 3)})
    ray.shutdown()
    return {"trials": num_trials, "rounds": rounds}


def real(folder: Path, num_trials: int) -> dict[str, Any]:
    """Return the share of the workers' time in which a real study trains and measures."""
    from anon_tune.clips import make_avatars
    from anon_tune.worker import ClipTrialBody

    clips = make_avatars(folder / "clips")
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    loaded = SearchSpace.load(Path(__file__).parents[1] / "search_spaces" / "quickstart.toml")
    start = time.monotonic()
    settings = StudySettings(num_trials=num_trials, sampler="random")
    trials = run_study(folder / "real", loaded, ClipTrialBody(str(clips.directory)), settings).trials()
    wall = time.monotonic() - start
    ray.shutdown()
    # Until the identity anchor has its scores it runs alone, and nobody could run beside it.
    alone = next(t for t in trials if t.id == "identity")
    first = min(t.started for t in trials)
    could = (max(t.ended for t in trials) - first) * 2 - (alone.ended - first)
    busy = sum(r.seconds for t in trials for r in t.reports)
    return {"trials": num_trials, "wall_s": round(wall, 1), "busy_s": round(busy, 1), "share": round(busy / could, 3)}


def nodes(folder: Path, num_trials: int, seconds: float) -> list[dict[str, Any]]:
    """Return sleeping trials a second on 1 to 8 workers, ours and what they could do at best."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_AUTH_MODE"] = "disabled"
    rows = []
    for workers, (count, cpus) in {1: (1, 1), 2: (1, 2), 4: (2, 2), 8: (4, 2)}.items():
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": cpus, "include_dashboard": False})
        for _ in range(count - 1):
            cluster.add_node(num_cpus=cpus)
        ray.init(cluster.address, log_to_driver=False, logging_level="error")
        timed_study(Analytic(), 2 * workers, folder / f"warm-{workers}")  # workers start once
        wall = timed_study(Analytic(seconds), num_trials * workers, folder / f"nodes-{workers}")
        plain = plain_tune(num_trials * workers, seconds, folder / f"plain-nodes-{workers}")
        ray.shutdown()
        cluster.shutdown()
        rows.append(
            {
                "workers": workers,
                "nodes": count,
                "trials_a_second": round((num_trials * workers + 2) / wall, 3),
                "plain_tune": round(num_trials * workers / plain, 3),
                "at_best": round(workers / seconds, 3),
            }
        )
    for row in rows:
        row["times_one_worker"] = round(row["trials_a_second"] / rows[0]["trials_a_second"], 2)
    return rows


def real_nodes(folder: Path, num_trials: int) -> list[dict[str, Any]]:
    """Return real trials an hour, all trained to the end, on 1, 2 and 4 nodes of one CPU."""
    from ray.cluster_utils import Cluster

    from anon_tune.clips import make_avatars
    from anon_tune.worker import ClipTrialBody

    os.environ["RAY_AUTH_MODE"] = "disabled"
    body = ClipTrialBody(str(make_avatars(folder / "clips").directory))
    quickstart = Path(__file__).parents[1] / "search_spaces" / "quickstart.toml"
    fixed = {"training.num_steps": 60, "evaluation.full.attacker_steps": 60, "evaluation.full.classifier_steps": 60}
    loaded = SearchSpace.load(quickstart, fixed)
    rows = []
    for count in (1, 2, 4):
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        for _ in range(count - 1):
            cluster.add_node(num_cpus=1)
        ray.init(cluster.address, log_to_driver=False, logging_level="error")
        settings = StudySettings(num_trials=num_trials, sampler="random", rungs=False)
        trials = run_study(folder / f"real-{count}", loaded, body, settings).trials()
        ray.shutdown()
        cluster.shutdown()
        # The anchors come first, the identity alone: what counts is the time of all others.
        searched = [t for t in trials if not t.is_anchor]
        wall = max(t.ended for t in searched) - min(t.started for t in searched)
        rows.append({"nodes": count, "trials_an_hour": round(num_trials / wall * 3600, 1)})
    return [row | {"times_one_node": round(row["trials_an_hour"] / rows[0]["trials_an_hour"], 2)} for row in rows]


def scale(folder: Path, num_trials: int, through_ray: bool) -> dict[str, Any]:
    """Run thousands of trials with rungs and the journal; report block by block."""
    folder.mkdir(parents=True, exist_ok=True)
    study, settings = space(rungs=True), StudySettings(num_trials=num_trials, clips_fingerprint="analytic")
    marks = [(0, time.monotonic(), time.process_time())]

    def mark(over: int) -> None:
        if over >= marks[-1][0] + num_trials // 10:
            marks.append((over, time.monotonic(), time.process_time()))

    if through_ray:
        count: Callable[[Any], int] = lambda ts: sum(t.state.is_final for t in ts)  # noqa: E731
        seen = [0]

        def on_change(trials: Any) -> None:
            seen[0] += 1
            if seen[0] % 100 == 0:
                mark(count(trials))

        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
        run_study(folder, study, Analytic(), settings, on_change)
        ray.shutdown()
    else:
        freeze_study(folder, study, settings)
        clock = VirtualClock()
        record = OptunaMirror(study, JournalStorage(JournalFileBackend(str(folder / "optuna.journal"))), "scale")
        proposer = Proposer(study, "auto", 0, num_trials, record)
        num_over = [0]

        def ended(trials: Any) -> None:
            num_over[0] += 1
            if num_over[0] % 100 == 0:
                mark(sum(t.state.is_final for t in trials))

        book = Bookkeeper(Ledger(folder / "ledger"), study, proposer, settings, None, ended, clock)
        drive(book, Analytic(), 8, clock, folder / "trials")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.monotonic()
    trials = Ledger(folder / "ledger").trials()
    read = time.monotonic() - start
    start = time.monotonic()
    subprocess.run([sys.executable, "-m", "anon_tune", "report", str(folder)], check=True, stdout=subprocess.DEVNULL)
    states = [t.state for t in trials]
    return {
        "trials": num_trials,
        "through": "Ray Tune" if through_ray else "virtual time",
        "complete": states.count(TrialState.COMPLETE),
        "pruned": states.count(TrialState.PRUNED),
        "blocks": [
            {
                "until": b[0],
                "wall_ms_a_trial": round((b[1] - a[1]) / (b[0] - a[0]) * 1e3, 1),
                "cpu_ms_a_trial": round((b[2] - a[2]) / (b[0] - a[0]) * 1e3, 1),
            }
            for a, b in itertools.pairwise(marks)
        ],
        "driver_peak_mib": round(peak),
        "ledger_files": len(list((folder / "ledger").glob("*.parquet"))),
        "read_s": round(read, 2),
        "report_s": round(time.monotonic() - start, 1),
    }


def main() -> None:
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--parts", nargs="+", choices=["empty", "real", "nodes", "real-nodes", "scale"], default=["empty", "nodes"]
    )
    parser.add_argument(
        "--trials", type=int, help="of each part; else 60 empty, 6 real, 10 a worker, 8 on real nodes, 10000 at scale"
    )
    parser.add_argument("--sleep", type=float, default=1.0, help="seconds of a sleeping trial")
    parser.add_argument("--ray", action="store_true", help="the scale part through Ray Tune")
    args = parser.parse_args()
    os.environ.update(QUIET)
    found: dict[str, Any] = {
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "ray": ray.__version__}
    }
    with tempfile.TemporaryDirectory(prefix="overhead-") as scratch:
        folder = Path(scratch)
        for part in args.parts:
            match part:
                case "empty":
                    found[part] = empty(folder / part, args.trials or 60)
                case "real":
                    found[part] = real(folder / part, args.trials or 6)
                case "nodes":
                    found[part] = nodes(folder / part, args.trials or 10, args.sleep)
                case "real-nodes":
                    found[part] = real_nodes(folder / part, args.trials or 8)
                case "scale":
                    found[part] = scale(folder / part, args.trials or 10_000, args.ray)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
