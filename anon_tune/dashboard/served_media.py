"""Addresses of the pictures of trials on the dashboard's server."""

from __future__ import annotations

from urllib.parse import urlencode

from anon_tune.folder import File
from anon_tune.study_directory import StudyDirectory


class ServedMedia:
    """Gives addresses at which the server sends the previews of a study.

    Args:
        study: The study directory.
        prefix: Path of the study on the server.
        token: The token of the server.

    Attributes:
        page: Address of the study's page.
    """

    def __init__(self, study: StudyDirectory, prefix: str, token: str) -> None:
        self._study, self._prefix, self._token = study, prefix, token
        self.page = f"{prefix}?{urlencode({'token': token})}"

    def still(self, trial_id: str) -> str:
        """Return the address of the still preview; empty if there is none."""
        return self._address(trial_id, "still", self._study.trial(trial_id).preview)

    def clip(self, trial_id: str) -> str:
        """Return the address of the moving preview; empty if there is none."""
        return self._address(trial_id, "clip", self._study.trial(trial_id).moving_preview)

    def _address(self, trial_id: str, kind: str, file: File) -> str:
        if not file.exists():
            return ""
        query = urlencode({"trial": trial_id, "kind": kind, "token": self._token}, errors="surrogateescape")
        return f"{self._prefix}/media?{query}"
