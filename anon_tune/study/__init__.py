"""The account of a study: settings, lock, bookkeeper, spending, warm start. Knows neither Ray nor torch."""

from anon_tune.study.frozen_study import load_study
from anon_tune.study.settings import StudySettings

__all__ = ["StudySettings", "load_study"]
