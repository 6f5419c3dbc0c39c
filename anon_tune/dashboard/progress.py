"""Says how far a study is."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from anon_tune.commands.status import StudyStatus
from anon_tune.report.trial_panel import command_html
from anon_tune.report.wording import duration, text
from anon_tune.search.points import num_points
from anon_tune.study.frozen_study import read_study
from anon_tune.study.lock import driver_of
from anon_tune.study_directory import StudyDirectory
from anon_tune.trial import Trial


def status_of(study: StudyDirectory, trials: Sequence[Trial]) -> StudyStatus:
    """Return how far a study is, given its trials.

    Raises:
        AnonTuneError: Its frozen copy cannot be read, for example because another version wrote it.
    """
    space, settings = read_study(study)
    number = num_points(space, settings.sampler, settings.num_trials, settings.seed)
    driver = None if study.ended.exists() else driver_of(study)
    return StudyStatus.of(
        str(study), trials, number, has_ended=study.ended.exists(), driver=driver, copied_from=study.origin
    )


def progress_html(status: StudyStatus) -> str:
    """Return a bar and a sentence about a study's progress, as HTML."""
    over, total = num_over(status), max(status.num_trials, 1)
    bar = f'<progress max="{total}" value="{min(over, total)}" aria-label="Progress"></progress>'
    running = ", ".join(text(trial.id) for trial in status.running[:8])
    now = f" Under way: {running}." if running and status.driver is not None else ""
    is_stopped = status.driver is None and not status.is_complete
    resume = command_html("Continue it", ["resume", status.study]) if is_stopped else ""
    return f'<div class="going"><p>{text(how_it_goes(status))}{now}</p>{bar}{resume}</div>'


def num_over(status: StudyStatus) -> int:
    """Return the number of trials that are over."""
    return sum(status.states[state] for state in ("COMPLETE", "PRUNED", "FAILED"))


def state_of(status: StudyStatus) -> str:
    """Say in a few words whether a study is finished, stopped or running, and how much time is left."""
    if status.is_complete:
        return "Finished"
    return "Stopped" if status.driver is None else f"Running, {_left(status)}"


def _left(status: StudyStatus) -> str:
    return f"about {duration(status.left_s)} left" if math.isfinite(status.left_s) else "time left not known yet"


def how_it_goes(status: StudyStatus) -> str:
    """Say in one sentence how far a study is and what happens next."""
    over = f"{num_over(status)} of {status.num_trials} trials are over"
    if status.is_complete:
        return f"Finished: {over}."
    if status.driver is None:
        return f"Stopped: {over}, and nothing runs this study now."
    left = _left(status)
    since = (
        ""
        if status.last_record is None
        else f", last record at {time.strftime('%H:%M:%S', time.localtime(status.last_record))}"
    )
    return f"Running: {over}, {left}{since}."
