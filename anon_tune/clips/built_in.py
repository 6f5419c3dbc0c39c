"""The built-in generated sets by name."""

from __future__ import annotations

from pathlib import Path

from anon_tune.clips.anomalies import make_anomalies
from anon_tune.clips.avatars import make_avatars
from anon_tune.clips.store import Clips

_MAKERS = {"avatars": make_avatars, "avatars-anomaly": make_anomalies}

BUILT_IN = tuple(_MAKERS)


def make_built_in(name: str, directory: Path) -> Clips:
    """Make a built-in set, which has one of the names `BUILT_IN`."""
    return _MAKERS[name](directory)
