"""The search: space, sampler, rungs, placement, run and resume. Importing it loads neither Ray nor Optuna."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_LAZY = {
    "SearchSpace": "anon_tune.study.space",
    "StudyInterrupted": "anon_tune.study.run",
    "StudyProgress": "anon_tune.study.progress",
    "StudySettings": "anon_tune.study.settings",
    "VerifyStep": "anon_tune.study.verify",
    "importance": "anon_tune.study.importances",
    "load_study": "anon_tune.study.settings",
    "show_status": "anon_tune.study.status",
    "study_status": "anon_tune.study.status",
    "rung_levels": "anon_tune.study.rungs",
    "run_study": "anon_tune.study.run",
    "verify_study": "anon_tune.study.verify",
}

__all__ = [
    "SearchSpace",
    "StudyInterrupted",
    "StudyProgress",
    "StudySettings",
    "VerifyStep",
    "importance",
    "load_study",
    "run_study",
    "rung_levels",
    "show_status",
    "study_status",
    "verify_study",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'anon_tune.study' has no attribute '{name}'")
