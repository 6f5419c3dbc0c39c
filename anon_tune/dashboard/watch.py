"""All studies that the dashboard shows, kept up to date by one thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from anon_tune.dashboard.finding import FoundStudies, find_studies, key_of
from anon_tune.dashboard.served_media import ServedMedia
from anon_tune.dashboard.watched import WatchedStudy
from anon_tune.folder import Folder, Location
from anon_tune.study_directory import StudyDirectory

_FIND_EVERY_S = 3.0
_FIND_REMOTE_EVERY_S = 30.0
_IDLE_AFTER_S = 30.0  # a study is no longer read once no page has asked for it this long


class Watch:
    """Finds studies and reads them, in a thread, so that requests are answered at once from what was read.

    Args:
        roots: Folders and URIs below which studies are looked for.
        token: The token that addresses of pictures carry.
    """

    def __init__(self, roots: Sequence[Location], token: str) -> None:
        self._roots, self._token = list(roots), token
        self._studies: dict[str, WatchedStudy] = {}
        self._problems: tuple[str, ...] = ()
        self._asked: dict[str, float] = {}
        self._listed_at = 0.0
        self._found = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def start(self) -> None:
        """Begin to look for studies."""
        self._thread.start()

    def stop(self) -> None:
        """Stop reading; a reading that is under way ends with the process."""
        self._over.set()

    @property
    def problems(self) -> tuple[str, ...]:
        """Why folders cannot be looked into, in words."""
        return self._problems

    @property
    def has_looked(self) -> bool:
        """False until the folders were looked into for the first time."""
        return self._found.is_set()

    @property
    def roots(self) -> list[Location]:
        """The folders and URIs that were given."""
        return self._roots

    def studies(self) -> dict[str, WatchedStudy]:
        """Return the studies by key, all of which are then kept up to date for a while."""
        self._listed_at = time.monotonic()
        return dict(self._studies)

    def study(self, key: str) -> WatchedStudy | None:
        """Return a study, which is then kept up to date for a while; None if there is none with this key."""
        found = self._studies.get(key)
        if found is not None:
            self._asked[key] = time.monotonic()
        return found

    def only_study(self) -> str | None:
        """Return the key of the study if the dashboard was given one study directory and nothing else."""
        if len(self._roots) != 1 or Folder.at(self._roots[0]).is_remote:
            return None
        study = StudyDirectory.at(self._roots[0])
        if not study.frozen.exists():
            return None
        self._studies.setdefault(key_of(study), self._watched(key_of(study), study))
        return key_of(study)

    def _watched(self, key: str, study: StudyDirectory) -> WatchedStudy:
        return WatchedStudy(study, ServedMedia(study, f"/study/{key}", self._token))

    def _keep(self) -> None:
        every = _FIND_REMOTE_EVERY_S if any(Folder.at(root).is_remote for root in self._roots) else _FIND_EVERY_S
        next_search = 0.0
        while not self._over.is_set():
            if time.monotonic() >= next_search:
                self._take(find_studies(self._roots))
                next_search = time.monotonic() + every
            for key, study in self._studies.items():
                if study.snapshot is None or self._is_wanted(key):
                    study.refresh()
                if self._over.is_set():
                    return
            self._over.wait(0.3)

    def _take(self, found: FoundStudies) -> None:
        known = self._studies
        # A study that is gone is forgotten, and one that stays keeps what was read.
        self._studies = {key: known.get(key) or self._watched(key, study) for key, study in found.studies.items()}
        self._problems = found.problems
        self._found.set()

    def _is_wanted(self, key: str) -> bool:
        latest = max(self._asked.get(key, 0.0), self._listed_at)
        return time.monotonic() - latest < _IDLE_AFTER_S
