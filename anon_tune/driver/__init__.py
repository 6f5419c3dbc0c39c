"""Runs, resumes and verifies studies on Ray. Importing this room does not load Ray."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anon_tune.driver.run import StudyInterrupted, run_study
    from anon_tune.driver.verify import verify_study
    from anon_tune.study.verification_plan import VerifyStep

_LAZY = {
    "StudyInterrupted": "anon_tune.driver.run",
    "VerifyStep": "anon_tune.study.verification_plan",
    "run_study": "anon_tune.driver.run",
    "verify_study": "anon_tune.driver.verify",
}

__all__ = [
    "StudyInterrupted",
    "VerifyStep",
    "run_study",
    "verify_study",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'anon_tune.driver' has no attribute '{name}'")
