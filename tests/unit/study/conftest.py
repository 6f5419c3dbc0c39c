"""Studies in virtual time with an analytic trade-off."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import InMemoryStorage

from anon_tune.ledger import Ledger
from anon_tune.search.proposer import Observation, Proposer
from anon_tune.search.space import SearchSpace
from anon_tune.study.bookkeeper import Bookkeeper
from anon_tune.study.settings import StudySettings
from anon_tune.study.spending import Prices
from anon_tune.study.virtual_time import VirtualClock, drive
from anon_tune.trackers.optuna_storage import OptunaMirror
from anon_tune.trial import Reading, RungJob, RungReport, Score, Trial

SEARCH = {
    "penalty.weight": {"low": 0.1, "high": 10.0, "log": True},
    "penalty.threshold": {"low": 0.0, "high": 0.3},
}


@dataclass
class TradeOff:
    """A trial body that trades leakage against accuracy by the penalty weight; its noise depends on the trial only."""

    jobs: list[RungJob] = field(default_factory=list)

    def advance(self, job: RungJob) -> RungReport:
        self.jobs.append(job)
        if job.recipe.method in ("identity", "black-out"):
            leakage = accuracy = 0.95 if job.recipe.method == "identity" else 0.2
        else:
            noise = random.Random(f"{job.trial_id} {job.rung}")
            place = (math.log10(job.recipe.penalty.weight.start) + 1) / 2
            hurt = abs(job.recipe.penalty.threshold.start / 0.3 - 0.4)
            leakage = 0.4 + 0.4 * place + 0.2 * hurt + noise.gauss(0, 0.01) - 0.1 * (not job.full)
            accuracy = 0.9 - 0.5 * (1 - math.sqrt(max(place, 0.0))) - 0.3 * hurt + noise.gauss(0, 0.01)
        readings = [Reading(v, 0.2, 0.95, v, v, v) for v in (leakage, accuracy)]
        score = Score(job.full, *readings, {}, {}, 0.1, 1, 1, 0, 0.1, seconds_per_frame=0.01)
        return RungReport(job.trial_id, job.rung, job.step, score, (), float(job.step), "node-1", "")


@dataclass
class VirtualStudy:
    """A study in a folder; every driver reads the ledger again."""

    folder: Path
    space: SearchSpace
    settings: StudySettings
    known: dict[str, Observation] | None = None
    prices: Prices | None = None

    def run(self, num_workers: int = 1, until_s: float = math.inf) -> list[Trial]:
        """Go on with the study, like a driver that starts."""
        self.body, self.clock = TradeOff(), VirtualClock()
        self.record = OptunaMirror(self.space, InMemoryStorage(), "study")
        settings = self.settings
        self.proposer = Proposer(
            self.space, settings.sampler, settings.seed, settings.num_trials, self.record, self.known
        )
        ledger = Ledger(self.folder / "ledger")
        self.book = Bookkeeper(ledger, self.space, self.proposer, settings, self.prices, None, self.clock)
        drive(self.book, self.body, num_workers, self.clock, self.folder / "trials", until_s)
        return self.book.trials


@pytest.fixture
def virtual_study(tmp_path: Path) -> Callable[..., VirtualStudy]:
    """Build a study; takes the tables of its space, and settings by name."""

    def build(
        name: str = "study", search: Any = None, study: Any = None, first: Any = (), **settings: Any
    ) -> VirtualStudy:
        tables = {"fixed": {"training.num_steps": 90}, "search": search or SEARCH, "first": list(first)}
        tables["study"] = {"rungs": {"min_steps": 10, "factor": 3}} | (study or {})
        space = SearchSpace.from_tables(tables, "toy.toml")
        return VirtualStudy(tmp_path / name, space, StudySettings(**{"sampler": "random", **settings}))

    return build
