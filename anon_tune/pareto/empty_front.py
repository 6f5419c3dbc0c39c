"""Why no trial of a study can stand on its front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from anon_tune.trial import Trial, TrialState


class Cause(Enum):
    """What keeps every trial off the front."""

    EARLY = auto()
    """No trial has a full score yet."""

    FAILED = auto()
    """Every trial so far failed."""

    INFEASIBLE = auto()
    """Every trial with a full score breaks a constraint."""


@dataclass(frozen=True, slots=True)
class EmptyFront:
    """Says that no trial but the anchors can stand on the front.

    Attributes:
        cause: The kind of cause.
        reason: The cause in words, without a full stop.
        remedy: What to do about it, without a full stop.
    """

    cause: Cause
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"No trial is on the front: {self.reason}. {self.remedy}."

    @staticmethod
    def of(trials: Sequence[Trial]) -> EmptyFront | None:
        """Return why no trial of a study can stand on its front; None if one can.

        Args:
            trials: All trials of one ledger.
        """
        ours = [trial for trial in trials if not trial.is_anchor]
        scored = [t for t in ours if t.state is TrialState.COMPLETE and t.score is not None and t.score.is_finite]
        if any(trial.is_feasible for trial in scored):
            return None
        if scored:
            return _infeasible(scored)
        if ours and all(trial.state is TrialState.FAILED for trial in ours):
            return _failed(ours)
        return EmptyFront(Cause.EARLY, "no trial has a full score yet", "Let the study go on: anon-tune resume")


def _infeasible(scored: Sequence[Trial]) -> EmptyFront:
    nearest = min(scored, key=lambda trial: (trial.reports[-1].violation, trial.id))
    each = f"all {len(scored)} trials with a full score break" if len(scored) > 1 else "the one trial scored breaks"
    remedy = "Start a new study with a looser constraint and --warm-start this one, or name a trial with --trial"
    return EmptyFront(Cause.INFEASIBLE, f"{each} a constraint of the study, {nearest.id} the least", remedy)


def _failed(trials: Sequence[Trial]) -> EmptyFront:
    first = min(trials, key=lambda trial: trial.number)
    all_of_them = f"all {len(trials)} trials so far failed, {first.id} first" if len(trials) > 1 else "its trial failed"
    remedy = "Fix the cause, then start a study in another directory, or resume this one with more --trials"
    return EmptyFront(Cause.FAILED, f"{all_of_them}: {first.reason.rstrip('.')}", remedy)
