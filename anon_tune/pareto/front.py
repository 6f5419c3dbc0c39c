"""The front of a study."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from anon_tune.errors import UsageError
from anon_tune.pareto.dominance import front_ranks, hypervolume
from anon_tune.pareto.empty_front import EmptyFront
from anon_tune.pareto.picks import Limit, Pickable
from anon_tune.pareto.rendering import front_html, front_text
from anon_tune.pareto.repeats import front_probabilities, judged_scores
from anon_tune.trial import Score, Trial, TrialState, losses, task_of
from anon_tune.utility_task import UtilityTask

_CANDIDATE_RANKS = 2


@dataclass(frozen=True, slots=True)
class ReferencePoint:
    """The point against which hypervolume is measured, as leakage and accuracy.

    Attributes:
        leakage: Ceiling of leakage, measured on raw clips, in [0, 1].
        accuracy: Floor of accuracy, that of guessing, in [0, 1].
    """

    leakage: float
    accuracy: float

    @property
    def losses(self) -> tuple[float, float]:
        """The point as two losses, both minimized."""
        return losses(self.leakage, self.accuracy)


@dataclass(frozen=True, slots=True, repr=False)
class ParetoFront:
    """The scored trials of a study, sorted into front ranks.

    Not every trial may be on the front. A trial or anchor that breaks a constraint has a front rank of at least 1 and
    adds nothing to the hypervolume. Once any trial but an anchor was measured again, the study counts as verified. From
    then on repeated trials are judged by their means, only they and the anchors may be on the front, and a trial with a
    single measurement, which may have been lucky, has a front rank of at least 1.

    Attributes:
        trials: Every COMPLETE trial whose score is finite, including the anchors.
        scores: The score by which a trial is judged, by trial id; also of trials that are not in ``trials``. See
            `anon_tune.pareto.repeats.judged_scores`.
        front_ranks: Front rank by trial id, 0 for the front itself.
        probabilities: By trial id, how likely a trial is on the front; only of trials that may stand there, and
            empty unless the study is verified.
        reference_point: None as long as no trial is scored.
        hypervolume: ``(ceiling leakage - leakage) x (accuracy - floor accuracy)``, joined over the
            front; in [0, 1].
        num_beyond_reference: Trials, anchors apart, that add nothing to the hypervolume because
            they leak as much as raw clips or recognize no more than chance.
        is_verified: True if trials were measured again and are judged by their means.
        empty: Why no trial but the anchors can stand on the front; None if one can.
    """

    trials: tuple[Trial, ...]
    scores: Mapping[str, Score]
    front_ranks: Mapping[str, int]
    probabilities: Mapping[str, float]
    reference_point: ReferencePoint | None
    hypervolume: float
    num_beyond_reference: int
    is_verified: bool
    empty: EmptyFront | None

    @classmethod
    def of(cls, trials: Sequence[Trial]) -> ParetoFront:
        """Sort the trials of a study into front ranks.

        Args:
            trials: All trials of one ledger; those without a finite full score are left out.
        """
        scores = judged_scores(trials)
        scored = tuple(trial for trial in trials if _is_usable(trial, scores))
        verified = any(trial.repeats for trial in trials if not trial.is_anchor)
        eligible = [trial for trial in scored if _is_eligible(trial, verified)]
        points = _points(scored, scores)
        ranks = {t.id: max(rank, 1) for t, rank in zip(scored, front_ranks(points).tolist(), strict=True)}
        standing = _points(eligible, scores)
        ranks |= dict(zip((t.id for t in eligible), front_ranks(standing).tolist(), strict=True))
        reference = _reference(scored, scores)
        beyond = 0
        if reference is not None:
            within = np.asarray((points < reference.losses).all(axis=1))
            beyond = sum(not trial.is_anchor for trial, inside in zip(scored, within, strict=True) if not inside)
        return cls(
            trials=scored,
            scores=scores,
            front_ranks=ranks,
            probabilities=front_probabilities({t.id: scores[t.id] for t in eligible}) if verified else {},
            reference_point=reference,
            hypervolume=hypervolume(standing, reference.losses) if reference is not None else 0.0,
            num_beyond_reference=beyond,
            is_verified=verified,
            empty=EmptyFront.of(trials),
        )

    @property
    def task(self) -> UtilityTask:
        """The utility task of the study."""
        return task_of(self.scores.values())

    @property
    def eligible(self) -> tuple[Trial, ...]:
        """The trials and anchors that may be on the front.

        These are all that break no constraint; in a verified study, only the anchors and repeated trials among them.
        """
        return tuple(trial for trial in self.trials if _is_eligible(trial, self.is_verified))

    @property
    def members(self) -> tuple[Trial, ...]:
        """The trials of front rank 0, anchors included, from the lowest leakage to the highest."""
        front = [trial for trial in self.trials if self.front_ranks[trial.id] == 0]
        return tuple(sorted(front, key=lambda trial: (self.scores[trial.id].leakage.value, trial.id)))

    @property
    def pickable(self) -> Pickable:
        """The trials that can be picked: those that break no constraint; in a verified study, only repeated ones."""
        return Pickable([trial for trial in self.eligible if not trial.is_anchor], self.scores, self.empty)

    def pick(self, leakage_at_most: float | None = None, *, accuracy_at_least: float | None = None) -> Trial:
        """Choose the trial to export under one of two limits; never an anchor.

        Under a leakage limit, the trial with the highest validation accuracy is chosen; if several have it, lower
        validation leakage decides, then the id. Under an accuracy limit, the trial with the lowest validation leakage
        is chosen; if several have it, higher validation accuracy decides, then the id. A choice by the test split
        would prefer trials with lucky test readings, which would then no longer be fair estimates. The test split is
        used for safety only: a trial that breaks the limit there is not chosen. In a verified study all readings are
        means, and only repeated trials are chosen. A trial that breaks a constraint is never chosen.

        Args:
            leakage_at_most: Limit in [0, 1] for the leakage on the validation and on the test split.
            accuracy_at_least: Limit in [0, 1] for the accuracy on the validation and on the test split.

        Raises:
            StudyError: No trial keeps the limit on both splits.
            UsageError: Both limits are given, or none.
        """
        if leakage_at_most is not None and accuracy_at_least is None:
            return self.pickable.pick(Limit.LEAKAGE_AT_MOST, leakage_at_most)
        if accuracy_at_least is not None and leakage_at_most is None:
            return self.pickable.pick(Limit.ACCURACY_AT_LEAST, accuracy_at_least)
        raise UsageError("front", "give one of leakage_at_most and accuracy_at_least")

    def __repr__(self) -> str:
        return front_text(self)

    def _repr_html_(self) -> str:
        """Show the front in a notebook."""
        return front_html(self)


def front_candidates(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials that are worth measuring again: anchors, repeated trials, and the first two front ranks.

    For these front ranks, a repeated trial counts with its mean and any other trial with its single measurement. A
    trial with a single measurement therefore becomes a candidate when the means of others fall behind it. Once all
    candidates are repeated, no trial with a single measurement is nondominated.

    Args:
        trials: All trials of one ledger. Those without a finite full score are left out, and trials, but no anchors,
            that break a constraint.

    Returns:
        The candidates, in the order given.
    """
    scores = judged_scores(trials)
    usable = [trial for trial in trials if _is_usable(trial, scores)]
    feasible = [trial for trial in usable if trial.is_feasible]
    layers = front_ranks(_points(feasible, scores)).tolist()
    chosen = {t.id for t, layer in zip(feasible, layers, strict=True) if t.repeats or layer < _CANDIDATE_RANKS}
    return [trial for trial in usable if trial.is_anchor or trial.id in chosen]


def _is_usable(trial: Trial, scores: Mapping[str, Score]) -> bool:
    """True for a COMPLETE trial whose full score is finite."""
    return trial.state is TrialState.COMPLETE and trial.id in scores and scores[trial.id].is_finite


def _is_eligible(trial: Trial, verified: bool) -> bool:
    return trial.is_feasible and (not verified or trial.is_anchor or bool(trial.repeats))


def _points(trials: Sequence[Trial], scores: Mapping[str, Score]) -> np.ndarray:
    """Return the losses, (n, 2), of trials that have a full score."""
    judged = [scores[trial.id] for trial in trials]
    return np.array([losses(s.leakage.value, s.accuracy.value) for s in judged], dtype=float).reshape(-1, 2)


def _reference(scored: Sequence[Trial], scores: Mapping[str, Score]) -> ReferencePoint | None:
    """Take ceiling leakage and floor accuracy from the identity anchor, or else from the first trial that has them."""
    for trial in sorted(scored, key=lambda t: t.method != "identity"):
        score = scores[trial.id]
        point = ReferencePoint(score.leakage.ceiling, score.accuracy.floor)
        if math.isfinite(point.leakage) and math.isfinite(point.accuracy):
            return point
    return None
