"""Studies that are hit again and again: does a finished trial get lost, count twice, or stay RUNNING?

    make soak                                   100 faults, one JSON object
    python benchmarks/soak.py --faults 500 --seed 1

Two Ray nodes with one CPU each run short studies, one after another, half of them with promotion. Faults come in turn,
each after a few reports:

    worker  a worker is killed
    node    all processes of a node are killed, and another node joins
    driver  the driver is killed, and the study goes on with a new one
    torn    the same, and a file of the ledger is left as a crash in the middle of a write leaves it
    disk    the disk is full until the driver has ended; the study goes on when there is room (needs root, to mount)

Every report that was in the ledger before a fault must be there at the end, unchanged.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import ray.cloudpickle

from anon_tune.driver.run import run_study
from anon_tune.ledger import Ledger
from anon_tune.search.space import SearchSpace
from anon_tune.study.settings import StudySettings
from anon_tune.trial import Reading, RungJob, RungReport, Score, Trial

KINDS = ("worker", "node", "driver", "torn", "disk")
NUM_TRIALS = 16
DISK = "32m"  # of which a study takes little
PATIENCE_S = 300
NODE = ("--num-cpus", "1", "--block", "--disable-usage-stats", "--object-store-memory", "100000000")
TOO_SLOW = "node timed out during startup"  # Ray gives one 30 s, which a busy machine does not keep now and then
Reports = dict[tuple[str, int], Any]


def space(promote: bool) -> SearchSpace:
    tables = {
        "fixed": {"training.num_steps": 90},
        "search": {"penalty.weight": {"low": 0.1, "high": 10.0, "log": True}},
        "study": {"rungs": {"min_steps": 10, "factor": 2, "promote": promote}},
    }
    return SearchSpace.from_tables(tables, "soak.toml")


@dataclass(frozen=True)
class Body:
    """Takes a moment, writes a file like a checkpoint, and reports a noisy trade-off."""

    def advance(self, job: RungJob) -> RungReport:
        time.sleep(0.3)
        (Path(job.directory) / "checkpoint").write_bytes(bytes(1 << 14))
        noise = random.Random(f"{job.trial_id} {job.rung}")
        place = job.recipe.penalty.weight.start / 10
        values = 0.4 + 0.4 * place + noise.gauss(0, 0.1), 0.5 + 0.4 * place + noise.gauss(0, 0.1)
        readings = [Reading(v, 0.2, 0.95, v, v, v) for v in values]
        score = Score(job.full, *readings, {}, {}, 0.1, 1, 1, 0, 0.1, seconds_per_frame=0.01)
        return RungReport(job.trial_id, job.rung, job.step, score, (), 0.3, "here", "")


def drive(out: str, promote: bool) -> None:
    """Run or continue a study; the driver is a process of its own."""
    ray.cloudpickle.register_pickle_by_value(sys.modules["__main__"])
    run_study(out, space(promote), Body(), StudySettings(num_trials=NUM_TRIALS, sampler="qmc", max_failures=1000))


def below(pid: int) -> dict[int, str]:
    """Return a process and its descendants, with their command lines."""
    table = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in table.splitlines()]
    found, parents = {pid: ""}, {pid}
    while parents:
        children = {int(child): name for child, parent, name in rows if int(parent) in parents}
        found |= children
        parents = set(children)
    return found


def killed(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and everything below it at once."""
    for pid in below(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def wait_for(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"soak: waited {PATIENCE_S} s for {what}")
        time.sleep(0.1)


@dataclass
class Site:
    """The nodes, and the folder of all files."""

    folder: Path
    port: int
    nodes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    number: Iterator[int] = field(default_factory=itertools.count)

    @property
    def environment(self) -> dict[str, str]:
        known = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        path = f"{Path(sys.executable).parent}:{known['PATH']}"
        own = {"RAY_AUTH_MODE": "disabled", "RAY_ADDRESS": f"127.0.0.1:{self.port}", "PATH": path}
        return known | own | {"OMP_NUM_THREADS": "1"}

    def start(self, name: str, command: list[str]) -> tuple[subprocess.Popen[bytes], Path]:
        log = self.folder / f"{name}.log"
        with open(log, "wb") as out:
            started = subprocess.Popen(
                command, env=self.environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )
        return started, log

    def add_node(self) -> None:
        """Start the head, or another node."""
        name = f"n{next(self.number)}"
        head = ["--head", "--port", str(self.port), "--include-dashboard", "false", "--ray-client-server-port"]
        head.append(str(self.port + 1))
        where = head if not self.nodes else ["--address", f"127.0.0.1:{self.port}"]
        own = [*NODE, "--dashboard-agent-listen-port", "0", "--temp-dir", str(self.folder / name)]
        node, log = self.start(name, ["ray", "start", *where, *own])

        def is_up() -> bool:
            said = log.read_text(errors="replace")
            if node.poll() is not None and TOO_SLOW not in said:
                raise SystemExit(f"soak: a node did not start, see {log}")
            return "Ray runtime started" in said or node.poll() is not None

        wait_for(is_up, f"node {name}, see {log}")
        if node.poll() is None:
            self.nodes.append(node)
        else:
            self.add_node()

    def workers(self) -> list[int]:
        return [
            pid
            for node in self.nodes
            for pid, name in below(node.pid).items()
            if "RungTrainable" in name or "Inner" in name
        ]


class Round:
    """One study, from its first driver to its end, and what became of what it had."""

    def __init__(self, site: Site, disk: Path, number: int, coin: random.Random, is_mounted: bool) -> None:
        self.site, self.disk, self.coin, self.is_mounted = site, disk, coin, is_mounted
        self.out = disk / f"study-{number}"
        self.promote = number % 2 == 1
        self.known: Reports = {}
        self.lost: set[tuple[str, int]] = set()
        self.drivers = 0
        self.driver = self._drive()

    def _drive(self) -> subprocess.Popen[bytes]:
        self.drivers += 1
        command = [sys.executable, __file__, "--drive", str(self.out), *(["--promote"] if self.promote else [])]
        driver, self.log = self.site.start(f"{self.out.name}-driver-{self.drivers}", command)
        return driver

    def trials(self) -> list[Trial]:
        return Ledger(self.out / "ledger").trials() if (self.out / "ledger").exists() else []

    def _reports(self) -> Reports:
        return {(t.id, r.rung): r.score for t in self.trials() for r in t.reports}

    def _look(self) -> None:
        """Compare with what was known, and remember what is new."""
        now = self._reports()
        self.lost |= {key for key, score in self.known.items() if now.get(key) != score}
        self.known |= now

    def is_over_before(self, num_new: int) -> bool:
        """Wait for new reports; return whether the study has ended before."""
        wanted = len(self.known) + num_new
        wait_for(lambda: len(self._reports()) >= wanted or self.driver.poll() is not None, f"reports, see {self.log}")
        self._look()
        if self.driver.poll() not in (None, 0):
            raise SystemExit(f"soak: a driver ended by itself, see {self.log}")
        return self.driver.poll() == 0

    def hit(self, kind: str) -> bool:
        """Inject one fault; return whether there was anything to hit."""
        if kind == "disk" and not self.is_mounted:
            return False
        if kind == "worker":
            workers = self.site.workers()
            with contextlib.suppress(ProcessLookupError):
                if workers:
                    os.kill(self.coin.choice(workers), signal.SIGKILL)
            return bool(workers)
        if kind == "node":
            killed(self.site.nodes.pop())
            self.site.add_node()
            return True
        time.sleep(self.coin.uniform(0, 1))
        if kind == "disk":
            self._fill_the_disk()
        else:
            self.driver.kill()
        if self.driver.wait() == 0:  # it was done before
            return False
        if kind == "torn":
            part = max((self.out / "ledger").glob("*.parquet"))
            begun = part.with_name(f".{part.name}.1")
            begun.write_bytes(part.read_bytes()[: self.coin.randrange(part.stat().st_size)])
        self._look()
        self.driver = self._drive()
        return True

    def _fill_the_disk(self) -> None:
        filler = self.disk / "filler"
        with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(1 << 12))
        try:
            wait_for(lambda: self.driver.poll() is not None, f"a driver to end on a full disk, see {self.log}")
        finally:
            filler.unlink()
        if self.driver.returncode == 0 and any(not t.state.is_final for t in self.trials()):
            raise SystemExit(f"soak: a driver on a full disk ended as if all were well, see {self.log}")

    def counts(self) -> Counter[str]:
        """Return what is wrong with the study, which has ended."""
        trials = self.trials()
        records = pd.read_parquet(self.out / "ledger").drop_duplicates("record")
        reports = records[records["rung"].notna()]
        final = records[records["state"].isin(["COMPLETE", "PRUNED", "FAILED"])]
        wanted = {"identity", "black-out", *(f"{n:04d}" for n in range(NUM_TRIALS))}
        twice = {*reports[reports.duplicated(["trial", "rung"])]["trial"], *final[final.duplicated("trial")]["trial"]}
        return Counter(
            trials=len(trials),
            finished_trials_lost=len({trial for trial, _ in self.lost} | (wanted - {t.id for t in trials})),
            finished_trials_twice=len(twice),
            left_running=sum(not t.state.is_final for t in trials),
            failed=sum(t.state.value == "FAILED" for t in trials),
        )


def soak(num_faults: int, seed: int) -> dict[str, Any]:
    """Hit studies until there were enough faults, let the last study end, and return the counts."""
    coin, start = random.Random(seed), time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="soak"))
    disk = folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(disk)]
    is_mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    site = Site(folder, 20000 + os.getpid() % 5000)
    faults: Counter[str] = Counter()
    found: Counter[str] = Counter()
    kinds = itertools.cycle(KINDS)
    study: Round | None = None
    try:
        site.add_node()
        site.add_node()
        for number in itertools.count():
            if faults.total() >= num_faults:
                break
            study = Round(site, disk, number, coin, is_mounted)
            while not study.is_over_before(coin.randint(1, 4) if faults.total() < num_faults else 10**6):
                kind = next(kinds)
                faults[kind] += study.hit(kind)
            found += study.counts()
            print(f"{faults.total()} faults, {found.total() - found['trials']} findings", file=sys.stderr, flush=True)
            if not found.total() - found["trials"]:
                shutil.rmtree(study.out)
    finally:
        if study is not None and study.driver.poll() is None:
            study.driver.kill()
        for node in reversed(site.nodes):
            killed(node)
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(disk)], check=False)
    wrong = {k: found[k] for k in ("finished_trials_lost", "finished_trials_twice", "left_running", "failed")}
    if not any(wrong.values()):
        shutil.rmtree(folder, ignore_errors=True)
    seconds = round(time.monotonic() - start)
    return {"faults": faults.total(), **dict(faults), "studies": number, "trials": found["trials"], **wrong} | {
        "seconds": seconds
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--drive", help=argparse.SUPPRESS)
    parser.add_argument("--promote", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.drive:
        return drive(given.drive, given.promote)
    result = soak(given.faults, given.seed)
    print(json.dumps(result))
    wrong = ("finished_trials_lost", "finished_trials_twice", "left_running", "failed")
    sys.exit(any(result[name] for name in wrong))


if __name__ == "__main__":
    main()
