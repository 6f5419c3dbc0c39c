"""The account of a study: settings, lock, bookkeeper, spending, warm start. Knows neither Ray nor torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anon_tune.study.settings import StudySettings, load_study, read_study

_LAZY = {
    "StudySettings": "anon_tune.study.settings",
    "load_study": "anon_tune.study.settings",
    "read_study": "anon_tune.study.settings",
}

__all__ = [
    "StudySettings",
    "load_study",
    "read_study",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'anon_tune.study' has no attribute '{name}'")
