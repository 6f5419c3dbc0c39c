"""What the dashboard shows of several studies side by side, drawn again only when one of them has changed."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from anon_tune.dashboard.watch import Watch
from anon_tune.dashboard.watched import Snapshot
from anon_tune.report.comparison_page import comparison_sections
from anon_tune.report.sections import PageSection

_MOST_KEPT = 8  # pages that are open at the same time, each with studies of its own
_SECTIONS = (
    ("fronts", "Fronts"),
    ("growth", "Hypervolume over cost"),
    ("numbers", "Numbers"),
    ("differences", "What differs"),
)


class Comparisons:
    """Compares studies, and keeps the last comparison of each choice of studies. Several threads may ask.

    Args:
        watch: The studies.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._lock = threading.Lock()
        self._last: dict[tuple[str, ...], tuple[list[Snapshot | None], list[PageSection]]] = {}

    def sections(self, keys: Sequence[str]) -> list[PageSection]:
        """Return the parts of the page about the studies with these keys."""
        found = [watched for key in keys if (watched := self._watch.study(key)) is not None]
        snapshots = [watched.snapshot for watched in found]
        shown = [one.shown for one in snapshots if one is not None and one.shown is not None]
        if len(shown) < 2:
            said = "Tick two studies or more on the page of all studies. A study that cannot be read is left out."
            if any(one is None for one in snapshots):
                said = "The studies are being read."
            empty = [PageSection(key, title, "") for key, title in _SECTIONS]
            return [PageSection("summary", "", f'<p class="none">{said}</p>'), *empty]
        with self._lock:
            last = self._last.get(tuple(keys))
        if last is not None and list(map(id, last[0])) == list(map(id, snapshots)):
            return last[1]
        sections = comparison_sections(shown)  # takes long, so other pages need not wait for it
        with self._lock:
            self._last.pop(tuple(keys), None)
            self._last[tuple(keys)] = snapshots, sections
            if len(self._last) > _MOST_KEPT:
                del self._last[next(iter(self._last))]  # the one that was drawn first
        return sections
