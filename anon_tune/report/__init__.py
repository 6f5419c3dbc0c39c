"""Writes the report page of a study: one HTML file that needs no other file and no network."""

from __future__ import annotations

from anon_tune.report.page import write_report
from anon_tune.report.selection import importance_trials

__all__ = ["importance_trials", "write_report"]
