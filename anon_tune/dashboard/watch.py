"""All studies that the dashboard shows, kept up to date by a thread for each folder."""

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
    """Finds studies and reads them, away from the requests, which are answered at once from what was read.

    Every folder has a thread of its own, so that a store that does not answer holds up no other folder.

    Args:
        roots: Folders and URIs below which studies are looked for.
        token: The token that addresses of pictures carry.
    """

    def __init__(self, roots: Sequence[Location], token: str) -> None:
        self._token = token
        self._roots = [_WatchedRoot(root) for root in roots]
        self._asked: dict[str, float] = {}
        self._listed_at = 0.0
        self._over = threading.Event()

    def start(self) -> None:
        """Begin to look for studies."""
        for root in self._roots:
            threading.Thread(target=self._keep, args=(root,), daemon=True).start()

    def stop(self) -> None:
        """Stop reading; a reading that is under way ends with the process."""
        self._over.set()

    @property
    def problems(self) -> list[str]:
        """Why folders cannot be looked into, in words."""
        return [root.problem for root in self._roots if root.problem]

    @property
    def has_looked(self) -> bool:
        """False until every folder was looked into, or could not be."""
        return all(root.has_looked for root in self._roots)

    @property
    def roots(self) -> list[Location]:
        """The folders and URIs that were given."""
        return [root.root for root in self._roots]

    def studies(self) -> dict[str, WatchedStudy]:
        """Return the studies by key, all of which are then kept up to date for a while."""
        self._listed_at = time.monotonic()
        return self._known()

    def study(self, key: str) -> WatchedStudy | None:
        """Return a study, which is then kept up to date for a while; None if there is none with this key."""
        found = self._known().get(key)
        if found is not None:
            self._asked[key] = time.monotonic()
        return found

    def only_study(self) -> str | None:
        """Return the key of the study if the dashboard was given one study directory and nothing else."""
        root = self._roots[0]
        if len(self._roots) != 1 or root.is_remote:
            return None
        study = StudyDirectory.at(root.root)
        if not study.frozen.exists():
            return None
        key = key_of(study)
        root.studies = {key: self._watched(key, study)} | root.studies
        return key

    def _known(self) -> dict[str, WatchedStudy]:
        known: dict[str, WatchedStudy] = {}
        for root in self._roots:
            known |= {key: study for key, study in root.studies.items() if key not in known}
        return known

    def _watched(self, key: str, study: StudyDirectory) -> WatchedStudy:
        return self._known().get(key) or WatchedStudy(study, ServedMedia(study, f"/study/{key}", self._token))

    def _keep(self, root: _WatchedRoot) -> None:
        next_search = 0.0
        while not self._over.is_set():
            if time.monotonic() >= next_search:
                self._take(root, find_studies(root.root))
                next_search = time.monotonic() + (_FIND_REMOTE_EVERY_S if root.is_remote else _FIND_EVERY_S)
            for key, study in root.studies.items():
                if study.snapshot is None or self._is_wanted(key):
                    study.refresh()
                if self._over.is_set():
                    return
            self._over.wait(0.3)

    def _take(self, root: _WatchedRoot, found: FoundStudies) -> None:
        studies = {key: self._watched(key, study) for key, study in found.studies.items()}
        # A study that is gone is forgotten, unless the folder could not be looked into.
        root.studies = root.studies | studies if found.problem else studies
        root.problem = found.problem
        root.has_looked = True

    def _is_wanted(self, key: str) -> bool:
        latest = max(self._asked.get(key, 0.0), self._listed_at)
        return time.monotonic() - latest < _IDLE_AFTER_S


class _WatchedRoot:
    """A folder, and what was found below it. Its dict of studies is replaced, never changed."""

    def __init__(self, root: Location) -> None:
        self.root, self.is_remote = root, Folder.at(root).is_remote
        self.studies: dict[str, WatchedStudy] = {}
        self.problem = ""
        self.has_looked = False
