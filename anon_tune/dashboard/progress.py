"""Says how far a study is."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from anon_tune.commands.status import StudyStatus
from anon_tune.errors import AnonTuneError
from anon_tune.report.wording import duration, text
from anon_tune.search.points import num_points
from anon_tune.study.frozen_study import read_study
from anon_tune.study.lock import driver_of
from anon_tune.study_directory import StudyDirectory
from anon_tune.trial import Trial


def status_of(study: StudyDirectory, trials: Sequence[Trial]) -> StudyStatus | None:
    """Return how far a study is, given its trials; None if its frozen copy does not tell."""
    try:
        space, settings = read_study(study)
        number = num_points(space, settings.sampler, settings.num_trials, settings.seed)
    except AnonTuneError:
        return None
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
    return f'<div class="going"><p>{text(how_it_goes(status))}{now}</p>{bar}</div>'


def num_over(status: StudyStatus) -> int:
    """Return the number of trials that are over."""
    return sum(status.states[state] for state in ("COMPLETE", "PRUNED", "FAILED"))


def how_it_goes(status: StudyStatus) -> str:
    """Say in one sentence how far a study is and what happens next."""
    over = f"{num_over(status)} of {status.num_trials} trials are over"
    if status.is_complete:
        return f"Finished: {over}."
    if status.driver is None:
        return f"Stopped: {over}, and no driver holds this study. Go on with: anon-tune resume {status.study}"
    left = f"about {duration(status.left_s)} left" if math.isfinite(status.left_s) else "time left not known yet"
    since = (
        ""
        if status.last_record is None
        else f", last record at {time.strftime('%H:%M:%S', time.localtime(status.last_record))}"
    )
    return f"Running: {over}, {left}{since}."
