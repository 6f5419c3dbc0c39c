"""The built-in generated sets by name. This module loads quickly, because every command names them in its help."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anon_tune.clips.store import Clips

BUILT_IN = ("avatars", "avatars-anomaly")


def make_built_in(name: str, directory: Path) -> Clips:
    """Make a built-in set, which has one of the names `BUILT_IN`."""
    from anon_tune.clips import make_anomalies, make_avatars

    return make_avatars(directory) if name == "avatars" else make_anomalies(directory)
