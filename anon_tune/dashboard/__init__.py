"""A local web page that shows studies while they run. Only this machine can open it, and only with its token."""

from __future__ import annotations

from anon_tune.dashboard.server import serve

__all__ = ["serve"]
