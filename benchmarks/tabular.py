"""The recorded tables as trial bodies: they replay real studies in virtual time.

Between recorded configurations a reading is a weighted mean over the 4 nearest ones of the same recorded seed, in the
unit cube of the table's space. Weights are those of Franke and Little, ``((R - d) / (R d))^2`` with R the distance of
the fifth: they are continuous, also where the nearest change.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from problems import Floats, Losses, report, stable_seed, value_of
from recorded import READING, Row

from anon_tune.errors import DataError
from anon_tune.pareto import hypervolume
from anon_tune.search.parameters import Choices
from anon_tune.search.space import SearchSpace
from anon_tune.trial import ANCHORS, Reading, RungJob, RungReport, Score, TrialBody, losses

_NEIGHBOURS = 4
_VALUES = (
    *(f"{name}_{key}" for name in ("leakage", "accuracy") for key in READING),
    *("distortion", "seconds", "score_seconds", "num_train_clips", "num_test_clips"),
)


@dataclass(frozen=True)
class _Recorded:
    """One recorded seed: points (n,d) of the unit cube and values (n,v) by step, in the order of `_VALUES`."""

    points: Floats
    values: Mapping[int, Floats]
    anchors: Mapping[tuple[str, int], Floats]

    def at(self, x: Floats, step: int) -> Floats:
        """Return the values (v,) at a point (d,)."""
        distances = np.linalg.norm(self.points - x, axis=1)
        nearest = np.argsort(distances, kind="stable")[: _NEIGHBOURS + 1]
        near, beyond = distances[nearest[:-1]], distances[nearest[-1]]
        if near[0] < 1e-9:
            return np.asarray(self.values[step][nearest[0]])
        weights = ((beyond - near) / (beyond * near)) ** 2
        if not weights.any():  # all five are equally far
            weights = np.ones(_NEIGHBOURS)
        return np.asarray(weights @ self.values[step][nearest[:-1]] / weights.sum())


class Table:
    """A recorded table.

    Args:
        rows: What `record_table.py` wrote.
        space: What it searched.

    Raises:
        DataError: There are too few points to interpolate between.
    """

    def __init__(self, rows: Sequence[Row], space: SearchSpace) -> None:
        self.space = space
        frame = pd.DataFrame(list(rows))
        trained = frame[~frame["method"].isin(ANCHORS)]
        self.steps = tuple(sorted(int(step) for step in trained["step"].unique()))
        self.seeds = tuple(sorted(int(seed) for seed in trained["seed"].unique()))
        self._recorded = {seed: self._of(frame[frame["seed"] == seed]) for seed in self.seeds}

    def _of(self, rows: pd.DataFrame) -> _Recorded:
        trained = rows[~rows["method"].isin(ANCHORS)].sort_values("configuration")
        whole = trained.groupby("configuration")["step"].transform("nunique") == len(self.steps)
        trained = trained[whole]
        by_step = {step: trained[trained["step"] == step] for step in self.steps}
        first = by_step[self.steps[0]]
        points = np.array([self.unit({n: row[n] for n in self.space.search}) for row in first.to_dict("records")])
        values = {step: part[list(_VALUES)].to_numpy(dtype=float) for step, part in by_step.items()}
        anchors = {
            (str(row["method"]), int(row["step"])): np.array([float(row[name]) for name in _VALUES])
            for row in rows[rows["method"].isin(ANCHORS)].to_dict("records")
        }
        if len(points) <= _NEIGHBOURS:
            rule = f"a table needs more than {_NEIGHBOURS} points of every seed"
            raise DataError("recorded table", rule, len(points), "Go on with record_table.py")
        return _Recorded(points, values, anchors)

    @property
    def points(self) -> Floats:
        """Recorded points (n,d) of the unit cube, of all seeds."""
        return np.concatenate([recorded.points for recorded in self._recorded.values()])

    def unit(self, params: Mapping[str, Any]) -> Floats:
        """Return the point (d,) in the unit cube."""
        place = []
        for name, parameter in self.space.search.items():
            assert not isinstance(parameter, Choices)
            low, high, value = float(parameter.low), float(parameter.high), float(params[name])
            if parameter.log:
                low, high, value = math.log(low), math.log(high), math.log(value)
            place.append((value - low) / (high - low))
        return np.array(place)

    def values(self, x: Floats, step: int, seed: int) -> dict[str, float]:
        """Return all readings and seconds at a point of the unit cube, at a recorded step and seed."""
        return dict(zip(_VALUES, self._recorded[seed].at(x, step).tolist(), strict=True))

    def anchor(self, method: str, step: int, seed: int) -> dict[str, float]:
        """Return the readings of an anchor."""
        return dict(zip(_VALUES, self._recorded[seed].anchors[method, step].tolist(), strict=True))

    def truth(self, x: Floats) -> Losses:
        """Return the losses on the test split, fully trained, as a mean over seeds."""
        rows = [self.values(x, self.steps[-1], seed) for seed in self.seeds]
        found = losses(*(float(np.mean([row[name] for row in rows])) for name in ("leakage_value", "accuracy_value")))
        return found[0], found[1]

    def training_s(self, x: Floats, start: int, step: int, seed: int) -> float:
        """Return the recorded seconds of training from one step to another, without measuring."""
        rows = [self.values(x, s, seed) for s in self.steps if start < s <= step]
        return sum(row["seconds"] - row["score_seconds"] for row in rows)


class TabularBody:
    """Does rung jobs by looking them up.

    Args:
        table: Where.
        seed: With the trial's id it decides which recorded seed a trial has.
        anchors_take_time: False where the clock starts after the anchors.
    """

    def __init__(self, table: Table, seed: int, anchors_take_time: bool = True) -> None:
        self._table, self._seed, self._anchors_take_time = table, seed, anchors_take_time
        self._reached: dict[str, int] = {}  # steps trained, by trial

    def advance(self, job: RungJob) -> RungReport:
        """Look up; the report's seconds are the recorded ones of the job."""
        table = self._table
        recorded = table.seeds[stable_seed(job.trial_id, self._seed) % len(table.seeds)]
        if job.recipe.method in ANCHORS:
            values = table.anchor(job.recipe.method, job.step, recorded)
            seconds = values["seconds"] if self._anchors_take_time else 0.0
            return report(job, self._score(job, values, recorded), seconds)
        x = table.unit({name: value_of(job.recipe, name) for name in table.space.search})
        values = table.values(x, job.step, recorded)
        training = table.training_s(x, self._reached.get(job.trial_id, 0), job.step, recorded)
        self._reached[job.trial_id] = job.step
        return report(job, self._score(job, values, recorded), training + values["score_seconds"])

    @staticmethod
    def _score(job: RungJob, values: Mapping[str, float], seed: int) -> Score:
        readings = [Reading(*(values[f"{name}_{key}"] for key in READING)) for name in ("leakage", "accuracy")]
        return Score(
            full=job.full,
            leakage=readings[0],
            accuracy=readings[1],
            attackers={},
            attributes={},
            distortion=values["distortion"],
            num_train_clips=int(values["num_train_clips"]),
            num_test_clips=int(values["num_test_clips"]),
            seed=seed,
            seconds=values["score_seconds"],
        )


class TabularProblem:
    """A table as a problem to compare strategies on.

    Args:
        name: Of the problem.
        table: Where its body looks up.

    The reference is what identity leaks and chance gets; the best hypervolume is that of 4096 points and the recorded.
    """

    def __init__(self, name: str, table: Table) -> None:
        self.name, self.table, self.space = name, table, table.space
        last = self.table.steps[-1]
        identity = [self.table.anchor(ANCHORS[0], last, seed) for seed in self.table.seeds]
        black_out = [self.table.anchor(ANCHORS[1], last, seed) for seed in self.table.seeds]
        leakage, chance = (
            float(np.mean([row[name] for row in rows]))
            for name, rows in (("leakage_value", identity), ("accuracy_value", black_out))
        )
        self.reference: Losses = (leakage, -chance)
        rows = np.array([self.table.truth(x) for x in self._dense])
        self.ranges = ((float(rows[:, 0].min()), leakage), (float(rows[:, 1].min()), -chance))
        self.best_hypervolume = hypervolume(rows, self.reference)
        self.trial_s = float(np.mean([self._trial_s(x) for x in self._dense[:200]]))

    @cached_property
    def _dense(self) -> Floats:
        from scipy.stats import qmc

        drawn = qmc.Sobol(len(self.space.search), seed=0).random_base2(12)
        return np.concatenate([drawn, self.table.points])

    def _trial_s(self, x: Floats) -> float:
        seed, last = self.table.seeds[0], self.table.steps[-1]
        return self.table.training_s(x, 0, last, seed) + self.table.values(x, last, seed)["score_seconds"]

    def body(self, seed: int) -> TrialBody:
        """Return a body that replays the table; anchors take no time."""
        return TabularBody(self.table, seed, anchors_take_time=False)

    def truth(self, params: Mapping[str, Any]) -> Losses:
        """Return the mean over recorded seeds of the readings on the test split."""
        return self.table.truth(self.table.unit(params))
