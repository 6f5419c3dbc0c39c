"""The choice of one trial of a study, under a leakage limit or an accuracy limit. Export and pages choose by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from anon_tune.errors import StudyError
from anon_tune.pareto.empty_front import EmptyFront
from anon_tune.trial import Reading, Score, Trial, losses


class Limit(Enum):
    """Which objective is limited. Among the trials that keep the limit, the best in the other objective is chosen."""

    LEAKAGE_AT_MOST = "leakage"
    ACCURACY_AT_LEAST = "accuracy"


@dataclass(frozen=True, slots=True)
class Pickable:
    """The trials that can be chosen, none of them an anchor.

    Attributes:
        trials: The trials.
        scores: The score by which a trial is judged, by trial id.
        empty: Why no trial can be chosen; None if one can, or if only repeats are missing.
    """

    trials: Sequence[Trial]
    scores: Mapping[str, Score]
    empty: EmptyFront | None

    def pick(self, rule: Limit, limit: float) -> Trial:
        """Return the best trial in the one objective that keeps the limit for the other one.

        Raises:
            StudyError: No trial keeps the limit on both splits.
        """
        kept = [trial for trial in self.trials if self._loss(rule, trial) <= _as_loss(rule, limit)]
        if kept:
            return min(kept, key=lambda trial: self._preference(rule, trial))
        said = f"the {rule.value} limit must be kept by a trial on the validation split and on the test split"
        if not self.trials:
            unmeasured = "No trial that keeps the constraints was measured again: anon-tune verify"
            raise StudyError("front", said, limit, unmeasured if self.empty is None else str(self.empty))
        nearest = min(self.trials, key=lambda trial: self._loss(rule, trial))
        end = "lowest" if rule is Limit.LEAKAGE_AT_MOST else "highest"
        remedy = f"The {end} available is {self.worse(rule, nearest):.4f} (trial {nearest.id})"
        raise StudyError("front", said, limit, remedy)

    def steps(self, rule: Limit) -> list[tuple[float, Trial]]:
        """Return all trials that `pick` can choose, each with the strictest limit that leads to it.

        The strictest limit comes first. For any limit, `pick` chooses the last trial here whose limit is not stricter.
        """
        steps: list[tuple[float, Trial]] = []
        for trial in sorted(self.trials, key=lambda t: (self._loss(rule, t), self._preference(rule, t))):
            if not steps or self._preference(rule, trial) < self._preference(rule, steps[-1][1]):
                steps.append((self.worse(rule, trial), trial))
        return steps

    def worse(self, rule: Limit, trial: Trial) -> float:
        """Return the worse of the readings on the validation split and on the test split of the limited objective."""
        reading: Reading = getattr(self.scores[trial.id], rule.value)
        return max((reading.value, reading.validation), key=lambda value: _as_loss(rule, value))

    def _loss(self, rule: Limit, trial: Trial) -> float:
        return _as_loss(rule, self.worse(rule, trial))

    def _preference(self, rule: Limit, trial: Trial) -> tuple[float, float, str]:
        score = self.scores[trial.id]
        leakage, accuracy = losses(score.leakage.validation, score.accuracy.validation)
        first, second = (accuracy, leakage) if rule is Limit.LEAKAGE_AT_MOST else (leakage, accuracy)
        return first, second, trial.id


def _as_loss(rule: Limit, value: float) -> float:
    return losses(value, value)[0 if rule is Limit.LEAKAGE_AT_MOST else 1]
