from __future__ import annotations

import io
import math
from dataclasses import replace

import pytest
from rich.console import Console

from anon_tune.cli.study_progress import StudyProgress
from anon_tune.commands.study_view import StudyView
from anon_tune.search.importances import importance
from anon_tune.search.space import SearchSpace
from anon_tune.trial import LostJob, Reading, RungReport, Score, Trial, TrialState

SPACE = SearchSpace.from_tables(
    {"search": {"penalty.weight": {"low": 0.0, "high": 1.0}, "penalty.threshold": {"low": 0.0, "high": 1.0}}},
    "toy.toml",
)


def trial(number: int, leakage: float, accuracy: float, method: str = "adversarial", **params: float) -> Trial:
    def reading(value: float, floor: float) -> Reading:
        return Reading(0.0, floor, 1.0, 0.0, 0.0, validation=value)

    score = Score(True, reading(leakage, 0.5), reading(accuracy, 0.2), {}, {}, 0.0, 1, 1, 0, 1.0)
    name = f"{number:04d}" if number >= 0 else method
    report = RungReport(name, 0, 10, score, (), 10.0, "here", "")
    return Trial(name, number, method, params, "f", TrialState.COMPLETE, (report,), "", 10.0, 100.0, 110.0)


IDENTITY = trial(-1, 1.0, 1.0, "identity")


def test_the_view_counts_trials_and_finds_the_front() -> None:
    stopped = replace(trial(3, 0.1, 0.1), state=TrialState.PRUNED)
    view = StudyView.of([IDENTITY, trial(0, 0.8, 0.9), trial(1, 0.6, 0.7), trial(2, 0.9, 0.8), stopped], 6)
    assert view.states == {TrialState.COMPLETE: 3, TrialState.PRUNED: 1}
    assert [name for name, _ in view.front] == ["0001", "0000"]
    # Towards raw leakage 1 and chance accuracy 0.2: (1 - 0.8) 0.7 + (0.8 - 0.6) 0.5
    assert view.hypervolume == pytest.approx(0.4 * 0.5 + 0.2 * 0.2)


def test_the_time_left_is_work_over_workers() -> None:
    # Two trials of 10 s each within 10 s: two at a time. Four more take 20 s.
    assert StudyView.of([IDENTITY, trial(0, 0.8, 0.9), trial(1, 0.6, 0.7)], 6).left_s == pytest.approx(20.0)
    assert math.isnan(StudyView.of([IDENTITY], 6).left_s)


def test_hours_in_which_no_driver_ran_do_not_count_for_the_time_left() -> None:
    def done(number: int, ended: float) -> Trial:
        made = trial(number, 0.8, 0.9)
        (one,) = made.reports
        return replace(made, reports=(replace(one, ended=ended),), started=ended - 10, ended=ended)

    trials = [done(0, 110.0), done(1, 110.0), done(2, 90_000.0), done(3, 90_000.0)]
    assert StudyView.of([IDENTITY, *trials], 8).left_s == pytest.approx(20.0)


def test_without_a_terminal_each_trial_gets_one_line() -> None:
    out = io.StringIO()
    with StudyProgress(3, Console(file=out, width=80)) as progress:
        progress.show([IDENTITY])
        progress.show([IDENTITY, trial(0, 0.8, 0.9)])
        failed = replace(trial(1, math.nan, 0.9), state=TrialState.FAILED, reason="gone")
        progress.show([IDENTITY, trial(0, 0.8, 0.9), failed])
    head, first, second, *plot = out.getvalue().splitlines()
    assert plot[0] == "accuracy over leakage (validation split)" and plot[-1] == "o on the front, I identity"
    assert "validation split" in head and "anon-tune front" in head
    assert first.startswith("0000 COMPLETE leakage 0.800 accuracy 0.900; 1 of 3 over, 1 on the front, hypervolume 0.14")
    assert second.startswith("0001 FAILED (gone); 2 of 3 over")


@pytest.mark.parametrize("is_terminal", [False, True])
def test_what_was_lost_is_said_at_the_end(is_terminal: bool) -> None:
    out = io.StringIO()
    lossy = replace(trial(0, 0.8, 0.9), lost=(LostJob(50.0, "here"), LostJob(10.0, "")))
    with StudyProgress(1, Console(file=out, width=100, force_terminal=is_terminal, highlight=False)) as progress:
        progress.show([IDENTITY])
        progress.show([IDENTITY, lossy])
    assert "2 jobs ended without a report, 1.0 min of 1.3 min (75%)\n" in out.getvalue()


def test_a_terminal_gets_a_table_of_the_front() -> None:
    out = io.StringIO()
    with StudyProgress(3, Console(file=out, width=100, force_terminal=True)) as progress:
        progress.show([IDENTITY, trial(0, 0.812, 0.9)])
    assert "3 trials: 1 complete" in out.getvalue()
    assert "0.812" in out.getvalue()


def test_importance_finds_the_parameter_that_matters() -> None:
    grid = [(i / 9, (i * 7 % 10) / 9) for i in range(10)] + [(i / 9, (i * 3 % 10) / 9) for i in range(10)]
    trials = [
        trial(n, leakage=0.5 + 0.4 * w, accuracy=0.5 + 0.4 * t, **{"penalty.weight": w, "penalty.threshold": t})
        for n, (w, t) in enumerate(grid)
    ]
    shares = importance([IDENTITY, *trials], SPACE)
    assert next(iter(shares["leakage"])) == "penalty.weight"
    assert next(iter(shares["accuracy"])) == "penalty.threshold"
    assert all(sum(s.values()) == pytest.approx(1) for s in shares.values())
    assert importance(trials[:7], SPACE) == {}
    constant = [replace(t, reports=trials[0].reports) for t in trials]
    assert importance(constant, SPACE) == {}
