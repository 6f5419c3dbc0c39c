"""One self-contained HTML page about a study."""

from __future__ import annotations

from anon_tune.report.page import write_report

__all__ = ["write_report"]
