"""The front of a study as rows, which commands print and write as JSON and CSV."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from anon_tune.certificate import Certificate
from anon_tune.pareto.front import ParetoFront
from anon_tune.trial import OBJECTIVES, Cost, Reading, Score, Trial

_CERTIFIED = ("status", "leakage", "leakage_normalized", "accuracy")


@dataclass(frozen=True, slots=True)
class FrontRow:
    """A trial and its place on the front.

    Attributes:
        trial: The trial.
        front_rank: 0 for the front itself; None without a finite full score.
        score: The full score, or the mean of the repeats if the trial has any; None without a full score. Never a rung
            score, because rung scores are cheaper and cannot be compared with full scores.
        probability_on_front: In [0, 1]; None unless the study is verified and the trial is an anchor or has repeats.
        certificate: The trial's certificate; None without one. It changes no front rank.
    """

    trial: Trial
    front_rank: int | None
    score: Score | None
    probability_on_front: float | None
    certificate: Certificate | None = None

    @property
    def leakage(self) -> float | None:
        """Leakage on the test split; None if it is unknown."""
        return None if self.score is None else _known(self.score.leakage.value)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for ``json.dumps(..., allow_nan=False)``; unknown values are null."""
        trial, score = self.trial, self.score
        row: dict[str, Any] = {
            "trial": trial.id,
            "method": trial.method,
            "state": trial.state.value,
            "front_rank": self.front_rank,
        }
        for objective in OBJECTIVES:
            row |= _reading(objective.name, None if score is None else getattr(score, objective.name))
        return row | {
            "num_repeats": len(trial.repeats),
            "probability_on_front": self.probability_on_front,
            "certified": None if self.certificate is None else _certified(self.certificate),
            "feasible": trial.is_feasible,
            "seconds_per_frame": None if score is None else _known(score.seconds_per_frame),
            "seconds": trial.seconds,
            "lost_s": trial.lost_s,
            **asdict(trial.cost),
            "params": {name: _known(v) if isinstance(v, float) else v for name, v in trial.params.items()},
        }

    def to_columns(self) -> dict[str, Any]:
        """Return the values of `to_json` by column name: each end of an interval and each param is a column."""
        row = self.to_json()
        params: dict[str, Any] = row.pop("params")
        certified = row.pop("certified") or dict.fromkeys(_CERTIFIED)
        row |= {f"certified_{name}": certified[name] for name in _CERTIFIED}
        for objective in OBJECTIVES:
            low, high = row.pop(f"{objective.name}_interval") or (None, None)
            row |= {f"{objective.name}_low": low, f"{objective.name}_high": high}
        return row | params


@dataclass(frozen=True, slots=True)
class FrontTable:
    """The front of a study, row by row.

    Attributes:
        front: The front.
        rows: From the lowest leakage to the highest; trials without a full score last.
        cost: Cost of all trials, listed or not.
        lost_s: Wall time of the jobs of all trials, listed or not, that never reported.
    """

    front: ParetoFront
    rows: tuple[FrontRow, ...]
    cost: Cost
    lost_s: float

    @classmethod
    def of(
        cls,
        trials: Sequence[Trial],
        all_trials: bool = False,
        certificates: Mapping[str, Certificate] = MappingProxyType({}),
    ) -> FrontTable:
        """List the front of a study.

        Args:
            trials: All trials of one ledger; the study may still be running.
            all_trials: List every trial, not only the front and the anchors.
            certificates: Certificates of trials, by trial id.
        """
        front = ParetoFront.of(trials)
        rows = [
            FrontRow(
                t,
                front.front_ranks.get(t.id),
                front.scores.get(t.id),
                front.probabilities.get(t.id),
                certificates.get(t.id),
            )
            for t in trials
            if all_trials or t.is_anchor or front.front_ranks.get(t.id) == 0
        ]
        rows.sort(key=lambda row: math.inf if row.leakage is None else row.leakage)
        cost = sum((trial.cost for trial in trials), Cost())
        return cls(front, tuple(rows), cost, sum((trial.lost_s for trial in trials), 0.0))

    def to_json(self) -> dict[str, Any]:
        """Return plain values for ``json.dumps(..., allow_nan=False)``.

        The keys are ``reference_point`` (null while no trial has a full score), ``hypervolume``, ``empty`` (why no
        trial but the anchors is on the front, else null), ``cost``, ``lost_s`` and ``trials`` (see `FrontRow`).
        """
        point, empty = self.front.reference_point, self.front.empty
        return {
            "reference_point": None if point is None else {"leakage": point.leakage, "accuracy": point.accuracy},
            "hypervolume": self.front.hypervolume,
            "empty": None if empty is None else str(empty),
            "cost": asdict(self.cost),
            "lost_s": self.lost_s,
            "trials": [row.to_json() for row in self.rows],
        }


def _certified(certificate: Certificate) -> dict[str, Any]:
    values = {name: getattr(certificate, name) for name in _CERTIFIED}
    return {name: _known(v) if isinstance(v, float) else v for name, v in values.items()}


def _reading(name: str, reading: Reading | None) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for suffix, field in (("", "value"), ("_floor", "floor"), ("_ceiling", "ceiling")):
        row[name + suffix] = _known(getattr(reading, field)) if reading is not None else None
    if name == "leakage":
        row["leakage_normalized"] = _known(reading.normalized) if reading is not None else None
    row[f"{name}_interval"] = [_known(reading.low), _known(reading.high)] if reading is not None else None
    return row


def _known(value: float) -> float | None:
    """Return None for NaN and infinity, which strict JSON cannot express."""
    return value if math.isfinite(value) else None
