"""The state of a study, read only from its directory: even while it runs, and on any machine that can read it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from anon_tune.commands.front_marks import FrontPoint
from anon_tune.commands.front_points import points_on_test
from anon_tune.commands.study_view import StudyView
from anon_tune.ledger import Ledger
from anon_tune.pareto import Cause, EmptyFront, ParetoFront
from anon_tune.search.choices import Choice
from anon_tune.search.points import num_points
from anon_tune.study.chosen import chosen
from anon_tune.study.frozen_study import read_study
from anon_tune.study.lock import driver_of
from anon_tune.study_directory import StudyDirectory, StudyLocation
from anon_tune.trial import ANCHORS, Cost, Trial, TrialState
from anon_tune.utility_task import ACTION

_LAST_FAILURES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyStatus:
    """The state of a study at one moment.

    Attributes:
        study: The study directory.
        copied_from: The study of which the directory is a copy; None if it is no copy.
        num_trials: Number of trials to propose, anchors not counted.
        states: Number of trials by state, anchors not counted; trials that have not started are ``TO_COME``.
        is_complete: True once all trials and anchors are over, also if a stop rule ended the study early.
        driver: The process that holds the study; None if no process does, so that no trial runs.
        running: Trials that began and have not ended, including anchors.
        hypervolume: On test clips, as in `ParetoFront`.
        hypervolume_validation: On validation clips, as the search sees it; NaN if unknown.
        num_on_front: Number of trials on the front of the validation readings.
        empty: Why no trial is on the front although some have ended; None if one is, or none has ended.
        cost: Cost of all trials, including anchors.
        left_s: Estimate of the seconds left; NaN if unknown, for example without a driver.
        last_record: Unix time of the last record in the ledger; None if there is none.
        failures: The last failed trials, latest first.
        points: Every scored trial and anchor, measured on the test split.
        choices: What the search has chosen by itself, and why.
        task: Name of the utility task.
    """

    study: str
    copied_from: str | None
    num_trials: int
    states: Mapping[str, int]
    is_complete: bool
    driver: str | None
    running: tuple[Trial, ...]
    hypervolume: float
    hypervolume_validation: float
    num_on_front: int
    empty: str | None
    cost: Cost
    left_s: float
    last_record: float | None
    failures: tuple[Trial, ...]
    points: tuple[FrontPoint, ...] = ()
    choices: tuple[Choice, ...] = ()
    task: str = ACTION.name

    @property
    def is_over(self) -> bool:
        """True if nothing will change: the study is complete, or no driver holds it."""
        return self.is_complete or self.driver is None

    @classmethod
    def of(
        cls,
        study: str,
        trials: Sequence[Trial],
        num_trials: int,
        *,
        has_ended: bool = False,
        driver: str | None = None,
        copied_from: str | None = None,
        choices: Sequence[Choice] = (),
    ) -> StudyStatus:
        """Return the state of a study whose trials are known.

        Args:
            study: The study directory.
            trials: All trials, including anchors.
            num_trials: Number of trials that the study should have, anchors not counted.
            has_ended: True if the driver starts no more trials, for example because of a stop rule.
            driver: The process that runs the study; None if no process does.
            copied_from: The study of which the directory is a copy.
            choices: What the search has chosen by itself, and why.
        """
        view, front = StudyView.of(trials, num_trials), ParetoFront.of(trials)
        empty = EmptyFront.of(trials)
        over = {t.id for t in trials if t.state.is_final}
        failed = sorted((t for t in trials if t.state is TrialState.FAILED), key=lambda t: -t.ended)
        states = {state.value: view.states[state] for state in TrialState}
        return cls(
            study=study,
            copied_from=copied_from,
            num_trials=num_trials,
            states=states | {"TO_COME": 0 if has_ended else max(0, num_trials - view.states.total())},
            is_complete=over.issuperset(ANCHORS)
            and (has_ended or sum(n for s, n in view.states.items() if s.is_final) >= num_trials),
            driver=driver,
            running=tuple(t for t in trials if t.state is TrialState.RUNNING),
            hypervolume=front.hypervolume,
            hypervolume_validation=view.hypervolume,
            num_on_front=len(view.front),
            empty=None if empty is None or empty.cause is Cause.EARLY else str(empty),
            cost=view.cost,
            left_s=0.0 if has_ended else math.nan if driver is None else view.left_s,
            last_record=max((t.ended for t in trials), default=None),
            failures=tuple(failed[:_LAST_FAILURES]),
            points=points_on_test(front),
            choices=tuple(choices),
            task=front.task.name,
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values for ``json.dumps(..., allow_nan=False)``; unknown values are null.

        An unfinished trial is told by its id, method, last measured rung and step, and ``since``, the time of its last
        record: its start, or its last measurement.
        """
        return {
            "num_trials": self.num_trials,
            "states": dict(self.states),
            "is_complete": self.is_complete,
            "running": [_running(trial) for trial in self.running],
            "hypervolume": _known(self.hypervolume),
            "hypervolume_validation": _known(self.hypervolume_validation),
            "num_on_front": self.num_on_front,
            "empty": self.empty,
            "cost": asdict(self.cost),
            "left_s": _known(self.left_s),
            "last_record": self.last_record,
            "failures": [{"trial": t.id, "reason": t.reason, "ended": t.ended} for t in self.failures],
            "driver": self.driver,
            "study": self.study,
            "copied_from": self.copied_from,
            "search": [asdict(choice) for choice in self.choices],
        }


def study_status(directory: StudyLocation) -> StudyStatus:
    """Read the state of a study from its directory.

    Raises:
        StudyError: There is no study.
    """
    study = StudyDirectory.at(directory)
    space, settings = read_study(study)
    num_trials = num_points(space, settings.sampler, settings.num_trials, settings.seed)
    # The order of reading matters: a driver writes the ledger, then the file `ended`, and then releases the study.
    driver = None if study.ended.exists() else driver_of(study)
    has_ended = study.ended.exists()
    trials = Ledger(study.ledger).trials()
    return StudyStatus.of(
        str(study),
        trials,
        num_trials,
        has_ended=has_ended,
        driver=driver,
        copied_from=study.origin,
        choices=chosen(space, settings, trials),
    )


def _running(trial: Trial) -> dict[str, Any]:
    last = trial.reports[-1] if trial.reports else None
    return {
        "trial": trial.id,
        "method": trial.method,
        "rung": None if last is None else last.rung,
        "step": None if last is None else last.step,
        "since": trial.ended,
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
