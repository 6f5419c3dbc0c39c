"""The front of a study, how it grew, and the pick from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from anon_tune.errors import LedgerError
from anon_tune.pareto.dominance import front_ranks, hypervolume
from anon_tune.trial import Score, Trial, TrialState, losses


@dataclass(frozen=True, slots=True)
class ReferencePoint:
    """What hypervolume is measured against, in natural units.

    Attributes:
        leakage: Ceiling leakage, that of raw clips.
        accuracy: Floor accuracy, that of chance.
    """

    leakage: float
    accuracy: float

    @property
    def losses(self) -> tuple[float, float]:
        """The point as losses."""
        return losses(self.leakage, self.accuracy)


@dataclass(frozen=True, slots=True)
class ParetoFront:
    """The scored trials of a study, in layers.

    Attributes:
        trials: Every COMPLETE trial whose full score is finite, anchors among them.
        ranks: Front rank by trial id, 0 for the front itself.
        reference_point: None as long as no trial is scored.
        hypervolume: ``(ceiling leakage - leakage) x (accuracy - floor accuracy)``, joined over the
            front; in [0, 1].
        num_beyond_reference: Trials, anchors apart, that add nothing to the hypervolume because
            they leak as much as raw clips or recognize no more than chance.
    """

    trials: tuple[Trial, ...]
    ranks: Mapping[str, int]
    reference_point: ReferencePoint | None
    hypervolume: float
    num_beyond_reference: int

    @classmethod
    def of(cls, trials: Sequence[Trial]) -> ParetoFront:
        """Sort a study's trials into layers.

        Args:
            trials: All trials of one ledger; those without a usable full score are left out.
        """
        scored = tuple(trial for trial in trials if usable_score(trial) is not None)
        points = _points(scored)
        reference = _reference(scored)
        beyond = 0
        if reference is not None:
            within = np.asarray((points < reference.losses).all(axis=1))
            beyond = sum(not trial.is_anchor for trial, inside in zip(scored, within, strict=True) if not inside)
        return cls(
            trials=scored,
            ranks=dict(zip((trial.id for trial in scored), front_ranks(points).tolist(), strict=True)),
            reference_point=reference,
            hypervolume=hypervolume(points, reference.losses) if reference is not None else 0.0,
            num_beyond_reference=beyond,
        )

    @property
    def members(self) -> tuple[Trial, ...]:
        """The trials of front rank 0, anchors included, from the lowest leakage to the highest."""
        front = [trial for trial in self.trials if self.ranks[trial.id] == 0]
        return tuple(sorted(front, key=lambda trial: (_score(trial).leakage.value, trial.id)))

    def pick(self, leakage_at_most: float) -> Trial:
        """Choose the trained trial to export under a leakage limit.

        Validation accuracy decides (ties: lower validation leakage, then id). A choice by the test
        split would favour the trials whose test readings happen to be lucky, and those readings
        would then be no estimate any more. The test split is looked at for safety alone: a trial
        that is known to leak more than the limit there is not handed out.

        Args:
            leakage_at_most: Limit in [0, 1] for the leakage on the validation and on the test split.

        Raises:
            LedgerError: No trained trial keeps the limit on both splits.
        """
        trained = [trial for trial in self.trials if not trial.is_anchor]
        allowed = [trial for trial in trained if _exposed(trial) <= leakage_at_most]
        if allowed:
            return min(allowed, key=_preference)
        rule = "the leakage limit must be kept by a trained trial on the validation and on the test split"
        if not trained:
            raise LedgerError(
                "front", rule, leakage_at_most, "No trained trial has a full score yet: let the study go on"
            )
        lowest = min(trained, key=_exposed)
        remedy = f"The lowest available is {_exposed(lowest):.4f} (trial {lowest.id})"
        raise LedgerError("front", rule, leakage_at_most, remedy)


class Progress(NamedTuple):
    """The hypervolume after one trial ended.

    Attributes:
        num_trials: Trials that have ended so far, anchors not counted.
        seconds: Since the study's first record.
        hypervolume: Of everything scored so far, against the study's final reference point.
    """

    num_trials: int
    seconds: float
    hypervolume: float


def progress(trials: Sequence[Trial]) -> list[Progress]:
    """Follow the hypervolume through a study, one entry after each final trial in order of ending."""
    reference = _reference([trial for trial in trials if usable_score(trial) is not None])
    first = min((trial.started for trial in trials), default=0.0)
    front = np.empty((0, 2))
    entries: list[Progress] = []
    num_trials, volume = 0, 0.0
    for trial in sorted((t for t in trials if t.state.is_final), key=lambda t: t.ended):
        num_trials += not trial.is_anchor
        if reference is not None and usable_score(trial) is not None:
            front = np.vstack([front, _points([trial])])
            front = front[front_ranks(front) == 0]
            volume = hypervolume(front, reference.losses)
        entries.append(Progress(num_trials, trial.ended - first, volume))
    return entries


def usable_score(trial: Trial) -> Score | None:
    """Return the full score of a COMPLETE trial if it is finite: what may stand on a front."""
    score = trial.score
    return score if trial.state is TrialState.COMPLETE and score is not None and score.is_finite else None


def _score(trial: Trial) -> Score:
    score = usable_score(trial)
    assert score is not None
    return score


def _points(trials: Sequence[Trial]) -> np.ndarray:
    """Return (n, 2) losses of trials that have a usable score."""
    scores = [_score(trial) for trial in trials]
    return np.array([losses(s.leakage.value, s.accuracy.value) for s in scores], dtype=float).reshape(-1, 2)


def _reference(scored: Sequence[Trial]) -> ReferencePoint | None:
    """Read ceiling leakage and floor accuracy from the identity anchor, or else from the first scored trial."""
    for trial in sorted(scored, key=lambda t: t.method != "identity"):
        score = _score(trial)
        point = ReferencePoint(score.leakage.ceiling, score.accuracy.floor)
        if math.isfinite(point.leakage) and math.isfinite(point.accuracy):
            return point
    return None


def _exposed(trial: Trial) -> float:
    """Return the larger of the two leakages that a limit must hold for."""
    leakage = _score(trial).leakage
    return max(leakage.value, leakage.validation)


def _preference(trial: Trial) -> tuple[float, float, str]:
    score = _score(trial)
    leakage, accuracy = losses(score.leakage.validation, score.accuracy.validation)
    return accuracy, leakage, trial.id
