"""Watchers, which receive every record once it is in the ledger: TensorBoard files, MLflow, Weights & Biases."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

from anon_tune.trial import RungReport, Trial

_log = logging.getLogger(__name__)


class Watcher(Protocol):
    """Receives every record of a study."""

    def see(self, trial: Trial, report: RungReport | None) -> None:
        """Receive the current state of a trial, with the report that led to it if there is one."""
        ...

    def close(self) -> None:
        """Finish, because the driver ends."""
        ...


class Watchers:
    """Several watchers. A watcher that fails cannot end a study: a warning names it once, and it is not called again.

    Args:
        watchers: Watchers by the names that users know.
    """

    def __init__(self, watchers: Sequence[tuple[str, Watcher]] = ()) -> None:
        self._watchers = list(watchers)

    def add(self, name: str, watcher: Watcher) -> None:
        """Add a watcher."""
        self._watchers.append((name, watcher))

    def see(self, trial: Trial, report: RungReport | None = None) -> None:
        """Pass a record to every watcher."""
        for name, watcher in [*self._watchers]:
            try:
                watcher.see(trial, report)
            except Exception as error:  # for example a full disk or a lost server; the ledger has the record anyway
                self._watchers.remove((name, watcher))
                _log.warning("%s stops, but the study goes on: %s: %s", name, type(error).__name__, error)

    def close(self) -> None:
        """Tell all watchers that the driver ends."""
        for name, watcher in self._watchers:
            try:
                watcher.close()
            except Exception as error:
                _log.warning("%s could not be finished: %s: %s", name, type(error).__name__, error)
