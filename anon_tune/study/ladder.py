"""All rungs of a study, bracket by bracket: who goes on, who waits, who goes next."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np

from anon_tune.study.parameters import Constraints, Rungs
from anon_tune.study.rungs import Rung, Verdict, deal_bracket
from anon_tune.study.sampler import score_losses
from anon_tune.trial import RungReport, Score, Trial

_FEWEST_PAIRS, _MOST_PAIRS = 8, 100  # trials by which a rung is itself judged
_LEAST_CORRELATION = 0.3


class Ladder:
    """The rungs of a study.

    Only trained trials are compared: what nobody trains is finished at its first rung, and no measure for
    half-trained ones.

    A rung that foretells nothing stops nobody: as soon as 8 trials were measured there and in full, the correlation
    of the two must be at least 0.3 in every loss, or all that arrive go on until it is.

    Args:
        rungs: Factor, brackets and variant; None for a study that judges nobody.
        constraints: Of the study.
        seed: Of the study; deals trials to brackets.
    """

    def __init__(self, rungs: Rungs | None, constraints: Constraints, seed: int) -> None:
        self._rungs, self._constraints, self._seed = rungs, constraints, seed
        self._by_place: dict[tuple[int, int], Rung] = {}  # (bracket, index of the rung)
        self._paused: dict[str, tuple[int, int]] = {}
        self._pairs: dict[int, deque[tuple[Score, Score]]] = {}  # by rung: scores there and in full

    @property
    def promotes(self) -> bool:
        """True if trials wait at rungs to be promoted."""
        return self._rungs is not None and self._rungs.promote

    def bracket(self, trial: Trial) -> int:
        """Return the bracket of a trial."""
        if self._rungs is None or not trial.is_trained:
            return 0
        return deal_bracket(self._seed, trial.number, self._rungs.brackets, self._rungs.factor)

    def add(self, trial: Trial, report: RungReport) -> None:
        """Take in a rung score; a full score is no rung's."""
        if self._rungs is None or report.score.full or not trial.is_trained:
            return
        place = self.bracket(trial), report.rung
        rung = self._by_place.setdefault(place, Rung(self._rungs.factor))
        rung.add(trial.id, score_losses(report.score), self._constraints.violation(report.score))

    def verdict(self, trial: Trial, report: RungReport) -> Verdict | None:
        """Judge a trial at a rung that it has been added to; None where nobody is judged."""
        if self._rungs is None or report.score.full or not trial.is_trained:
            return None
        verdict = self._by_place[self.bracket(trial), report.rung].verdict(trial.id)
        return verdict if self._foretells(report.rung) else replace(verdict, keep=verdict.position >= 0)

    def pause(self, trial: Trial, rung: int) -> None:
        """Let a trial wait at a rung that it has been added to."""
        self._paused[trial.id] = self.bracket(trial), rung

    def climb(self, trial: Trial, rung: int) -> None:
        """Note that a trial has left a rung upwards."""
        self._paused.pop(trial.id, None)
        if (place := (self.bracket(trial), rung)) in self._by_place:
            self._by_place[place].promote(trial.id)

    def promotable(self, closing: bool = False) -> str | None:
        """Return the trial that waits and should go on first: at the highest rung, the first of its order, or None.

        Args:
            closing: No more trials will arrive.
        """
        if not self.promotes:
            return None
        for (_, index), rung in sorted(self._by_place.items(), key=lambda item: (-item[0][1], item[0][0])):
            trial = rung.promotable(everyone=not self._foretells(index) or (closing and not rung.decides))
            if trial is not None:
                return trial
        return None

    def learn(self, trial: Trial) -> None:
        """Take in what a complete trial says about the rungs that it passed."""
        if trial.score is None or not trial.score.is_finite or not trial.is_trained:
            return
        for report in trial.reports:
            if not report.score.full and report.score.is_finite:
                self._pairs.setdefault(report.rung, deque(maxlen=_MOST_PAIRS)).append((report.score, trial.score))

    def _foretells(self, rung: int) -> bool:
        pairs = self._pairs.get(rung, ())
        if len(pairs) < _FEWEST_PAIRS:
            return True
        here, full = (np.array([score_losses(score) for score in column]) for column in zip(*pairs, strict=True))
        here, full = here - here.mean(axis=0), full - full.mean(axis=0)
        scale = np.sqrt((here**2).sum(axis=0) * (full**2).sum(axis=0))
        # Where all are alike in a loss there is nothing to foretell.
        return bool(((here * full).sum(axis=0) >= _LEAST_CORRELATION * scale).all())

    @property
    def paused(self) -> dict[str, tuple[int, int]]:
        """Bracket and rung of every trial that waits."""
        return dict(self._paused)
