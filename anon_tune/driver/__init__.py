"""Runs, resumes and verifies studies on Ray. Importing this room does not load Ray."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anon_tune.on_demand import on_demand

if TYPE_CHECKING:
    from anon_tune.driver.run import StudyInterrupted, run_study
    from anon_tune.driver.verify import verify_study
    from anon_tune.study.verification_plan import VerifyStep

_MODULES = {
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

__getattr__ = on_demand(__name__, _MODULES)
