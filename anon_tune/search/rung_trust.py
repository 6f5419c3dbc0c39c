"""Learns during a study whether its rungs foretell full scores, so that a rung that does not is left out."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum

from anon_tune.pareto import rank_correlation
from anon_tune.search.score_losses import score_losses
from anon_tune.trial import RungReport, Trial, TrialState

FEWEST_PAIRS = 6
"""Trials with a full score on which a rung is compared before it is doubted."""

_MOST_DOUBTED = 12  # pairs after which a rung that is still doubted is left out
TRUSTED = 0.5
"""Smallest correlation of a rung that goes on stopping trials."""

_MOST_PAIRS = 200  # most recent trials that are compared

Losses = tuple[float, float]


class Standing(Enum):
    """What a rung has shown so far."""

    DECIDES = "decides"
    """It stops trials, because nothing speaks against it."""

    DOUBTED = "doubted"
    """It seems to foretell too little. It measures trials and stops none."""

    LEFT_OUT = "left out"
    """It foretells too little. It stops no trial, and new trials are not measured there."""


@dataclass
class _Shown:
    """What one rung has shown.

    Attributes:
        pairs: Losses at the rung and of the full score, of every trial that has both.
        standing: What follows from it.
        correlation: The smaller of the rank correlations of the two losses.
    """

    pairs: deque[tuple[Losses, Losses]] = field(default_factory=lambda: deque(maxlen=_MOST_PAIRS))
    standing: Standing = Standing.DECIDES
    correlation: float = 0.0


class RungTrust:
    """Compares losses at each rung with those of the full score, over the trials that have both.

    A rung foretells a front only if it foretells both losses, so the smaller of the two rank correlations counts. From
    6 trials on, a rung with a correlation below 0.5 stops nothing; with 12 trials it is left out for good. Only trials
    that no rung stopped can be compared. They differ less than all trials do, so the correlation over all is higher.
    """

    def __init__(self) -> None:
        self._shown: dict[int, _Shown] = {}  # by index of the rung

    def learn(self, trial: Trial) -> None:
        """Learn from a trial of a trained method; ignored unless it has a finite full score and was met at a rung."""
        if trial.state is not TrialState.COMPLETE or trial.score is None or not trial.score.is_finite:
            return
        full = score_losses(trial.score)
        for report in trial.reports:
            if not report.score.full and report.score.is_finite:
                self._compare(report, full)

    def standing(self, rung: int) -> Standing:
        """Return what a rung has shown."""
        return self._shown[rung].standing if rung in self._shown else Standing.DECIDES

    @property
    def rungs(self) -> list[int]:
        """Indices of the rungs that were compared."""
        return sorted(self._shown)

    def compared(self, rung: int) -> tuple[int, float]:
        """Return over how many trials a rung was compared, and the smaller rank correlation of the two losses."""
        return len(self._shown[rung].pairs), self._shown[rung].correlation

    def _compare(self, report: RungReport, full: Losses) -> None:
        shown = self._shown.setdefault(report.rung, _Shown())
        if shown.standing is Standing.LEFT_OUT:
            return
        shown.pairs.append((score_losses(report.score), full))
        count = len(shown.pairs)
        shown.correlation = least_correlation(shown.pairs)
        if count < FEWEST_PAIRS or shown.correlation >= TRUSTED:
            shown.standing = Standing.DECIDES
        else:
            shown.standing = Standing.DOUBTED if count < _MOST_DOUBTED else Standing.LEFT_OUT


def least_correlation(pairs: Collection[tuple[Losses, Losses]]) -> float:
    """Return the smaller of the rank correlations of the two losses; 0 if a loss is the same in all trials."""
    rung, full = zip(*pairs, strict=True)
    return min(rank_correlation([a[k] for a in rung], [b[k] for b in full]) or 0.0 for k in (0, 1))
