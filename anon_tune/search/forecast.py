"""Forecasts of final losses from the losses at a rung."""

from __future__ import annotations

from collections import deque

import numpy as np

from anon_tune.methods import is_trained
from anon_tune.search.score_losses import score_losses
from anon_tune.trial import Trial

Losses = tuple[float, float]
_FEWEST_PAIRS, _MOST_PAIRS = 3, 200  # number of trials that a forecast is fitted to


class Forecasts:
    """Predicts final losses from rung losses, using the trials that were measured both at the rung and in full.

    For each loss it fits a line through the mean of these trials. The slope is pulled towards 1, as if three more
    trials had slope 1. With few trials, a forecast is therefore the rung's loss plus the average change. If the rung
    turns out to predict little, forecasts move towards the mean.
    """

    def __init__(self) -> None:
        self._trained: dict[int, deque[tuple[Losses, Losses]]] = {}  # by rung: losses at the rung and final losses
        self._lines: dict[int, tuple[Losses, Losses]] = {}  # by rung: fitted shift and slope of each loss
        self._untrained: list[tuple[Losses, Losses]] = []  # of closed-form methods, whose rung does not matter

    def learn(self, trial: Trial) -> None:
        """Learn from a trial that has a full score; any other trial is ignored."""
        if trial.score is None or not trial.score.is_finite:
            return
        full = score_losses(trial.score)
        self._lines.clear()
        for report in trial.reports:
            if not report.score.full and report.score.is_finite:
                pair = score_losses(report.score), full
                if is_trained(trial.method):
                    self._trained.setdefault(report.rung, deque(maxlen=_MOST_PAIRS)).append(pair)
                elif len(self._untrained) < _MOST_PAIRS:
                    self._untrained.append(pair)

    def at(self, rung: int, losses: Losses) -> Losses:
        """Return the final losses predicted from losses at a rung; unchanged while no trial has shown how they move."""
        if rung not in self._lines:
            self._lines[rung] = self._line(rung)
        (shift_a, slope_a), (shift_b, slope_b) = self._lines[rung]
        return shift_a + slope_a * losses[0], shift_b + slope_b * losses[1]

    def _line(self, rung: int) -> tuple[Losses, Losses]:
        """Return shift and slope for each loss, so that the final loss is about ``shift + slope * rung_loss``."""
        trained = self._trained.get(rung, ())
        enough = len(trained) >= _FEWEST_PAIRS
        pairs = np.array([*trained] if enough else [*self._untrained, *trained])
        if not len(pairs):
            return (0.0, 1.0), (0.0, 1.0)
        here, full = pairs.mean(axis=0)
        spread = pairs - pairs.mean(axis=0)
        products = (spread[:, 0] * spread[:, 1]).sum(axis=0)
        squares = (spread[:, 0] ** 2).sum(axis=0)
        weight = len(pairs) / (len(pairs) + _FEWEST_PAIRS) if enough else 0.0
        slopes = 1 + weight * (np.divide(products, squares, out=np.ones(2), where=squares > 0) - 1)
        shifts = full - slopes * here
        return (float(shifts[0]), float(slopes[0])), (float(shifts[1]), float(slopes[1]))
