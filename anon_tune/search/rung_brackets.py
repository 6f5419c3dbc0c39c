"""Holds all rungs of a study by bracket, and decides which trials go on, which wait and which is promoted next."""

from __future__ import annotations

from anon_tune.methods import is_trained
from anon_tune.search.parameters import Constraints, Rungs
from anon_tune.search.rung_trust import RungTrust, Standing
from anon_tune.search.rungs import Rung, Verdict, deal_bracket
from anon_tune.search.score_losses import score_losses
from anon_tune.trial import RungReport, Trial


class RungBrackets:
    """The rungs of a study.

    Only trials of trained methods are compared. A closed-form method is finished at its first rung, so comparing
    half-trained networks with it would not be fair. A rung that foretells full scores too little stops no
    trial, see `RungTrust`. If trials wait to be promoted, all rungs decide.

    Args:
        rungs: First step, factor, brackets and whether trials wait for promotion; None if the study stops no trials.
        constraints: The constraints of the study.
        seed: Seed of the study, by which trials are dealt to brackets.
    """

    def __init__(self, rungs: Rungs | None, constraints: Constraints, seed: int) -> None:
        self._rungs, self._constraints, self._seed = rungs, constraints, seed
        self._by_place: dict[tuple[int, int], Rung] = {}  # (bracket, index of the rung)
        self._trust = RungTrust()
        self._paused: dict[str, None] = {}  # in the order in which they came to wait

    @property
    def promotes(self) -> bool:
        """True if trials wait at rungs to be promoted."""
        return self._rungs is not None and self._rungs.promote

    def bracket(self, trial: Trial) -> int:
        """Return the bracket of a trial."""
        if self._rungs is None or not is_trained(trial.method):
            return 0
        return deal_bracket(self._seed, trial.number, self._rungs.brackets, self._rungs.factor)

    def add(self, trial: Trial, report: RungReport) -> None:
        """Add the score of a trial to its rung; full scores and closed-form methods are not compared at rungs."""
        if self._rungs is None or report.score.full or not is_trained(trial.method):
            return
        place = self.bracket(trial), report.rung
        rung = self._by_place.setdefault(place, Rung(self._rungs.factor))
        rung.add(trial.id, score_losses(report.score), self._constraints.violation(report.score))

    def learn(self, trial: Trial) -> None:
        """Learn from a trial that has its full score how well rungs foretell it."""
        if self._rungs is not None and not self._rungs.promote and is_trained(trial.method):
            self._trust.learn(trial)

    def is_left_out(self, trial: Trial, rung: int) -> bool:
        """True if a trial need not be measured at a rung, because that foretells too little."""
        return is_trained(trial.method) and self._trust.standing(rung) is Standing.LEFT_OUT

    def verdict(self, trial: Trial, report: RungReport) -> Verdict | None:
        """Judge a trial at a rung that it has been added to; None if the trial is not compared at rungs."""
        if self._rungs is None or report.score.full or not is_trained(trial.method):
            return None
        if not self._rungs.promote and self._trust.standing(report.rung) is not Standing.DECIDES:
            return None
        return self._by_place[self.bracket(trial), report.rung].verdict(trial.id)

    def pause(self, trial: Trial) -> None:
        """Note that a trial waits at the rung that it was added to last."""
        self._paused[trial.id] = None

    def climb(self, trial: Trial, rung: int) -> None:
        """Note that a trial has left a rung for the next one."""
        self._paused.pop(trial.id, None)
        if (place := (self.bracket(trial), rung)) in self._by_place:
            self._by_place[place].promote(trial.id)

    def promotable(self, closing: bool = False) -> str | None:
        """Return the waiting trial that should go on first: the best at the highest rung; None if there is none.

        Args:
            closing: True if no more trials will arrive. Every waiting trial may then go on at a rung with too few
                trials to decide.
        """
        if not self.promotes:
            return None
        for _, rung in sorted(self._by_place.items(), key=lambda item: (-item[0][1], item[0][0])):
            trial_id = rung.promotable(everyone=closing and not rung.decides)
            if trial_id is not None:
                return trial_id
        return None

    @property
    def paused(self) -> list[str]:
        """The ids of the trials that wait."""
        return list(self._paused)
