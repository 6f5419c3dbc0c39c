"""Does our search beat its peers at equal cost? Hypervolume over virtual cost on problems with a known truth.

Every strategy gets the same problem, four workers, the same cost of a job, and ends at the same virtual time, worth 40
trials without rungs. Anchors are measured before the clock starts. What counts is the true hypervolume (without noise,
fully trained; of a table the mean over its seeds on the test split), as a part of the best, of the reported front:
those nondominated by what the strategy itself saw of trials it trained to the end. By how much the front's own readings
on the test split claim more than that is noted too. One file a run in ``--out``: runs that are there are not done
again, and several processes may fill one folder. Prints JSON.

    python benchmarks/search_peers.py --problems table-avatars zdt1 --strategies ours random --seeds 0 1 2
    python benchmarks/search_peers.py --summary
"""

from __future__ import annotations

import argparse
import fcntl
import json
import logging
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from named_problems import PROBLEMS, problem
from problems import Losses, Problem, value_of
from scipy.stats import rankdata, wilcoxon
from strategies import NOT_PEERS, OURS, STRATEGIES

from anon_tune.errors import AnonTuneError
from anon_tune.pareto import front_ranks, hypervolume
from anon_tune.search.score_losses import score_losses
from anon_tune.study.assignment import Assignment, Decision
from anon_tune.study.desk import Desk
from anon_tune.study.virtual_time import VirtualClock, drive
from anon_tune.trial import ANCHORS, RungReport, losses

NUM_WORKERS, NUM_TRIALS, NUM_POINTS = 4, 40, 60


class FullScore(NamedTuple):
    """A full score: when it came, its losses as the search sees them and as a front shows them, and the params."""

    at_s: float
    seen: Losses
    shown: Losses
    params: dict[str, float]


class Watched:
    """A desk that is watched: notes every full score with its time, and how many trials there were.

    Args:
        desk: The strategy's.
        problem: Tells which params of a recipe are searched.
        clock: Of the loop.
    """

    def __init__(self, desk: Desk, problem: Problem, clock: VirtualClock) -> None:
        self._desk, self._problem, self._clock = desk, problem, clock
        self._params: dict[str, dict[str, float]] = {}
        self.full: list[FullScore] = []
        self.num_reports = 0

    @property
    def num_trials(self) -> int:
        """Trials handed out, anchors not counted."""
        return len(self._params)

    def next(self) -> Assignment | None:
        """Pass on, and note the params."""
        assignment = self._desk.next()
        if assignment is not None and assignment.recipe.method not in ANCHORS:
            self._params[assignment.trial_id] = {n: value_of(assignment.recipe, n) for n in self._problem.space.search}
        return assignment

    def start(self, trial_id: str) -> None:
        """Pass on."""
        self._desk.start(trial_id)

    def fail(self, trial_id: str, reason: str) -> None:
        """Pass on."""
        self._desk.fail(trial_id, reason)

    def decide(self, report: RungReport) -> Decision:
        """Pass on, and note a full score."""
        decision = self._desk.decide(report)
        self.num_reports += report.trial_id in self._params
        if report.score.full and report.trial_id in self._params:
            score, params = report.score, self._params[report.trial_id]
            shown = losses(score.leakage.value, score.accuracy.value)
            self.full.append(FullScore(self._clock.now, score_losses(score), (shown[0], shown[1]), params))
        return decision


def run(name: str, strategy: str, seed: int, found: Problem) -> dict[str, Any]:
    """Run one strategy once; return its curve on the common grid of cost."""
    end_s = NUM_TRIALS * found.trial_s / NUM_WORKERS
    clock, start = VirtualClock(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="search-peers-") as scratch:
        desk = Watched(STRATEGIES[strategy](found, seed, Path(scratch), clock), found, clock)
        drive(desk, found.body(seed), NUM_WORKERS, clock, Path(scratch) / "trials", end_s)
    grid = np.linspace(0, end_s, NUM_POINTS + 1)[1:]
    return {
        "problem": name,
        "strategy": strategy,
        "seed": seed,
        "num_trials": desk.num_trials,
        "num_complete": len(desk.full),
        "num_reports": desk.num_reports,
        "curve": [true_hypervolume(desk, found, until) / found.best_hypervolume for until in grid],
        "claimed": hypervolume([score.shown for score in front(desk, end_s)], found.reference) / found.best_hypervolume,
        "wall_s": round(time.monotonic() - start, 1),
    }


def front(desk: Watched, until_s: float) -> list[FullScore]:
    """Return the front that a strategy would report at a time."""
    known = [score for score in desk.full if score.at_s <= until_s]
    ranks = front_ranks([score.seen for score in known]) if known else []
    return [score for score, rank in zip(known, ranks, strict=True) if rank == 0]


def true_hypervolume(desk: Watched, found: Problem, until_s: float) -> float:
    """Return the true hypervolume of that front."""
    return hypervolume([found.truth(score.params) for score in front(desk, until_s)], found.reference)


def fill(out: Path, problems: Sequence[str], strategies: Sequence[str], seeds: Sequence[int]) -> None:
    """Do the runs that are missing, seed by seed; one that another process is at is left to it."""
    out.mkdir(parents=True, exist_ok=True)
    made: dict[str, Problem] = {}
    for seed in seeds:
        for name in problems:
            for strategy in strategies:
                file = out / f"{name}--{strategy}--{seed}.json"
                with open(out / f".{file.stem}.lock", "w", encoding="utf-8") as lock:
                    try:
                        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except BlockingIOError:
                        continue
                    if file.exists():
                        continue
                    if name not in made:
                        made[name] = problem(name)
                    done = run(name, strategy, seed, made[name])
                    hidden = file.with_name(f".{file.name}.{os.getpid()}")
                    hidden.write_text(json.dumps(done), encoding="utf-8")
                    hidden.replace(file)
                said = {key: value for key, value in done.items() if key != "curve"}
                print(json.dumps({**said, "final": round(done["curve"][-1], 4)}), file=sys.stderr, flush=True)


def summary(out: Path) -> dict[str, Any]:
    """Return, by problem, what became of every strategy, and how ours compares."""
    runs: dict[str, dict[str, dict[int, dict[str, Any]]]] = {}
    for file in sorted(out.glob("*.json")):
        one = json.loads(file.read_text(encoding="utf-8"))
        runs.setdefault(one["problem"], {}).setdefault(one["strategy"], {})[one["seed"]] = one
    return {name: _of_problem(found) for name, found in runs.items()}


def _of_problem(runs: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for strategy, by_seed in runs.items():
        curves = np.array([one["curve"] for one in by_seed.values()])
        found[strategy] = {
            "seeds": len(by_seed),
            "final_mean": float(curves[:, -1].mean()),
            "final_sd": float(curves[:, -1].std(ddof=1)) if len(curves) > 1 else 0.0,
            "curve_mean": float(curves.mean()),
            "overstated_mean": float(np.mean([one["claimed"] - one["curve"][-1] for one in by_seed.values()])),
            "num_trials": float(np.mean([one["num_trials"] for one in by_seed.values()])),
            "num_complete": float(np.mean([one["num_complete"] for one in by_seed.values()])),
            "wall_s": float(np.mean([one["wall_s"] for one in by_seed.values()])),
        }
    ranks = rankdata([-row["final_mean"] for row in found.values()])
    for row, rank in zip(found.values(), ranks, strict=True):
        row["place"] = float(rank)
    ordered = dict(sorted(found.items(), key=lambda item: item[1]["place"]))
    return {"strategies": ordered, "ours": _of_ours(runs, found) if OURS in runs else None}


def _of_ours(runs: Mapping[str, Mapping[int, Mapping[str, Any]]], found: Mapping[str, Any]) -> dict[str, Any]:
    """Compare ours with the best peer and, over paired seeds, with every other strategy."""
    result: dict[str, Any] = {"place_among_peers": None}
    peers = {name: row for name, row in found.items() if name not in NOT_PEERS}
    if peers:
        best = max(peers, key=lambda name: peers[name]["final_mean"])
        mean = np.mean([one["curve"] for one in runs[OURS].values()], axis=0)
        reached = np.flatnonzero(mean >= peers[best]["final_mean"])
        result["place_among_peers"] = 1 + sum(r["final_mean"] > found[OURS]["final_mean"] for r in peers.values())
        result["best_peer"] = best
        result["cost_to_best_peers_final"] = float(reached[0] + 1) / len(mean) if len(reached) else None
    tests = {}
    for name, by_seed in runs.items():
        seeds = sorted(set(by_seed) & set(runs[OURS]))
        if name == OURS or len(seeds) < 2:
            continue
        ends = np.array([[runs[OURS][s]["curve"][-1], by_seed[s]["curve"][-1]] for s in seeds])
        better = ends[:, 0] - ends[:, 1]
        p = float(wilcoxon(better, alternative="greater").pvalue) if np.any(better) else 1.0
        tests[name] = {"seeds": len(seeds), "better_in": int((better > 0).sum()), "wilcoxon_p": p}
    result["paired"] = tests
    return result


def main() -> None:
    """Do what is missing and print the summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument(
        "--strategies", nargs="+", choices=list(STRATEGIES), default=[s for s in STRATEGIES if s != "ax"]
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--out", default="runs/search_peers", help="folder of the runs, one file each")
    parser.add_argument("--summary", action="store_true", help="run nothing")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    out = Path(args.out)
    if not args.summary:
        try:
            fill(out, args.problems, args.strategies, args.seeds)
        except AnonTuneError as error:  # a table that cannot be used
            print(error, file=sys.stderr)
            sys.exit(2)
    print(json.dumps(summary(out), indent=2))


if __name__ == "__main__":
    main()
