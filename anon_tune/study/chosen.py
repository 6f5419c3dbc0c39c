"""What a study has chosen by itself about its search, for status and page."""

from __future__ import annotations

from collections.abc import Sequence

from anon_tune.errors import AnonTuneError
from anon_tune.search.choices import Choice, search_choices
from anon_tune.search.space import SearchSpace
from anon_tune.study.frozen_study import read_study
from anon_tune.study.settings import StudySettings
from anon_tune.study_directory import StudyDirectory
from anon_tune.trial import Trial


def chosen(space: SearchSpace, settings: StudySettings, trials: Sequence[Trial]) -> tuple[Choice, ...]:
    """Return what a study with these settings and trials has chosen; a caller's sampler leaves no choice of one."""
    kind = "random" if settings.sampler_class else settings.sampler
    return tuple(search_choices(space, kind, settings.num_trials, settings.rungs, trials))


def chosen_in(study: StudyDirectory, trials: Sequence[Trial]) -> tuple[Choice, ...]:
    """Return what the study in a directory has chosen; nothing if its frozen copy does not tell."""
    try:
        return chosen(*read_study(study), trials)
    except AnonTuneError:
        return ()
