"""Runs a study's decisions: settings, lock, bookkeeper, spending, warm start. It uses neither Ray nor torch."""

from anon_tune.study.frozen_study import load_study, read_study
from anon_tune.study.settings import StudySettings

__all__ = ["StudySettings", "load_study", "read_study"]
