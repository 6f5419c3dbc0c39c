"""Seconds as a clock shows them."""

from __future__ import annotations

import math


def clock(seconds: float | None) -> str:
    """Format seconds like a clock, 2:05, 1:02:05 or 26:30:00; a question mark if they are unknown."""
    if seconds is None or math.isnan(seconds):
        return "?"
    whole = round(seconds)
    return (
        f"{whole // 3600}:{whole % 3600 // 60:02}:{whole % 60:02}"
        if whole >= 3600
        else f"{whole // 60}:{whole % 60:02}"
    )
