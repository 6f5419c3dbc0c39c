"""Progress on a terminal or in a log file while a study runs."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from anon_tune.cli.clock import clock
from anon_tune.cli.front_plot import WIDTH, plot_front
from anon_tune.commands.front_points import points_on_validation
from anon_tune.commands.study_view import StudyView
from anon_tune.errors import on_one_line
from anon_tune.pareto import coverage
from anon_tune.trial import Cost, Score, Trial, TrialState, losses, task_of
from anon_tune.utility_task import TASKS, UtilityTask

_MOST_ROWS = 8
_LOOK_EVERY_S = 0.5
_SPLIT = "Values of the validation split, which selects trials; `anon-tune front` shows those of the test split."


class StudyProgress:
    """Shows a running study: as a live table on a terminal, else as one line per finished trial.

    Use it as a context manager, and pass its ``show`` to `run_study` as ``on_change``.

    Args:
        num_trials: Number of trials the study will have.
        console: Standard error if None.
    """

    def __init__(self, num_trials: int, console: Console | None = None) -> None:
        self._num_trials, self._started = num_trials, time.monotonic()
        self._console = console or Console(file=sys.stderr, highlight=False)
        self._trials: Sequence[Trial] = ()
        self._said: set[str] | None = None
        self._looked = -math.inf
        self._live = Live(console=self._console, get_renderable=self._table, refresh_per_second=2, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()
            self._console.print(self._table())
        else:
            self._say()
            if self._trials and (plot := self._plot(StudyView.of(self._trials, self._num_trials))):
                self._console.print(Text(plot))
        if lost := _lost(self._trials):
            self._console.print(lost, soft_wrap=True)

    def show(self, trials: Sequence[Trial]) -> None:
        """Take the trials as they are now."""
        self._trials = trials
        if self._said is None:
            # The first change is the start of a trial. Trials that ended before it were shown by an earlier driver.
            self._said = {t.id for t in trials if t.state.is_final}
        # One update takes time in proportion to the number of trials, so trials that end together share one update.
        if not self._console.is_terminal and time.monotonic() - self._looked > _LOOK_EVERY_S:
            self._say()

    def _say(self) -> None:
        said = self._said or set()
        ended = sorted((t for t in self._trials if t.state.is_final and t.id not in said), key=lambda t: t.id)
        if not ended:
            return
        if self._looked == -math.inf:
            self._console.print(_SPLIT, soft_wrap=True)
        self._looked = time.monotonic()
        view = StudyView.of(self._trials, self._num_trials)
        for trial in ended:
            self._console.print(Text(on_one_line(_line(trial, view))), soft_wrap=True)
        self._said = said | {trial.id for trial in ended}

    def _table(self) -> Group | Text:
        elapsed = time.monotonic() - self._started
        if not self._trials:
            return Text(f"starting Ray, {clock(elapsed)}")
        view = StudyView.of(self._trials, self._num_trials)
        states = ", ".join(f"{view.states[s]} {s.value.lower()}" for s in TrialState if view.states[s])
        head = f"{view.num_trials} trials: {states or 'measuring the anchors'}\n"
        head += f"hypervolume {view.hypervolume:.4f}, {clock(elapsed)} elapsed, about {clock(view.left_s)} left"
        head += _spent(view.cost)
        table = Table("trial", "leakage", self._task.objective, title="front (validation split)", title_justify="left")
        for name, score in _spread(view.front):
            table.add_row(
                Text(on_one_line(name)), f"{score.leakage.validation:.3f}", f"{score.accuracy.validation:.3f}"
            )
        plot = self._plot(view)
        return Group(Text(head), table, Text(plot)) if plot else Group(Text(head), table)

    def _plot(self, view: StudyView) -> str:
        return plot_front(
            points_on_validation(self._trials, view.front),
            "validation",
            min(self._console.width - 1, WIDTH),
            self._task,
        )

    @property
    def _task(self) -> UtilityTask:
        return task_of(report.score for trial in self._trials for report in trial.reports)


def _spent(cost: Cost) -> str:
    gpus = f", {cost.gpu_s / 3600:.2f} GPU-hours spent" if cost.gpu_s else ""
    return gpus + (f", money {cost.money:.2f}" if cost.money else "")


def _lost(trials: Sequence[Trial]) -> str:
    """Return a sentence on the jobs that failed or whose workers died or hung; empty if there are none."""
    jobs = [job for trial in trials for job in trial.lost]
    seconds = sum(job.seconds for job in jobs)
    if not seconds:
        return ""
    total = seconds + sum(trial.seconds for trial in trials)
    many = "1 job" if len(jobs) == 1 else f"{len(jobs)} jobs"
    return f"{many} ended without a report, {seconds / 60:.1f} min of {total / 60:.1f} min ({seconds / total:.0%})"


def _spread(front: Sequence[tuple[str, Score]]) -> list[tuple[str, Score]]:
    """Pick the trials of the front with the largest exclusive hypervolumes, ordered by leakage."""
    rows = [losses(s.leakage.validation, s.accuracy.validation) for _, s in front]
    covered = coverage(rows)
    best = sorted(range(len(front)), key=lambda i: -covered[i])[:_MOST_ROWS]
    return [front[i] for i in sorted(best)]


def _line(trial: Trial, view: StudyView) -> str:
    text = f"{trial.id} {trial.state.value}"
    if trial.score is not None and trial.score.is_finite:
        said = f"{TASKS[trial.score.task].objective} {trial.score.accuracy.validation:.3f}"
        text += f" leakage {trial.score.leakage.validation:.3f} {said}"
    if trial.reason:
        text += f" ({trial.reason})"
    over = sum(n for state, n in view.states.items() if state.is_final)
    rest = f"{over} of {view.num_trials} over, {len(view.front)} on the front, hypervolume {view.hypervolume:.4f}"
    return f"{text}; {rest}, about {clock(view.left_s)} left"
