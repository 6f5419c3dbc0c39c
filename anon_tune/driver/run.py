"""Runs a study: a new one, or one that an earlier driver left unfinished."""

from __future__ import annotations

import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from anon_tune.driver.environment import environment
from anon_tune.driver.node_check import check_nodes
from anon_tune.driver.placement import Slots
from anon_tune.driver.session import check_prices, living_nodes, living_resources, ray_session
from anon_tune.driver.tune_executor import TuneExecutor
from anon_tune.errors import AnonTuneError, StudyError
from anon_tune.folder import Folder
from anon_tune.ledger import Ledger
from anon_tune.search.callers_sampler import CallersSampler
from anon_tune.search.proposer import Observation, Proposer
from anon_tune.search.space import SearchSpace
from anon_tune.study.bookkeeper import Bookkeeper
from anon_tune.study.frozen_study import freeze_study
from anon_tune.study.lock import Hold, driver_lock
from anon_tune.study.settings import StudySettings
from anon_tune.study.spending import Prices
from anon_tune.study.warm_start import known_before
from anon_tune.study_directory import StudyDirectory, StudyLocation
from anon_tune.trackers.external import watchers
from anon_tune.trackers.optuna_storage import OptunaMirror, open_storage, record_name
from anon_tune.trial import Trial, TrialBody

_ONE_THREAD = {"OMP_NUM_THREADS": "1"}


class StudyInterrupted(KeyboardInterrupt):
    """A study was ended by SIGINT or SIGTERM; everything that was finished is in the ledger."""


def run_study(
    directory: StudyLocation,
    space: SearchSpace,
    body: TrialBody,
    settings: StudySettings,
    on_change: Callable[[Sequence[Trial]], None] | None = None,
    on_stop: Callable[[str], None] | None = None,
    sampler: CallersSampler | None = None,
) -> Ledger:
    """Run a study to its end, and return its ledger.

    A directory that already holds this study is continued: finished trials stay as they are, unfinished ones go on
    from their next rung, and the number of trials may have grown. A first SIGINT or SIGTERM stops cleanly.

    Args:
        directory: The study directory: a path that every node sees, or a URI that pyarrow can open.
        space: The search space of the study.
        body: Does the jobs of trials.
        settings: The settings of the study.
        on_change: Called with all trials, anchors first, after every change.
        on_stop: Called with the reason if a stop rule ended the study.
        sampler: A sampler that the caller passed in, of the class that the settings name; None for one of ours.

    Raises:
        StudyError: The directory belongs to another study or another process, or an anchor failed.
        UsageError: A node lacks a package that the search space needs.
        PlacementError: A trial needs more than the cluster has, or the price of a node is no number.
        StudyInterrupted: A signal stopped the study.
    """
    study = StudyDirectory.at(directory)
    with driver_lock(study) as hold, _local_copy(study.folder, hold) as here:
        known = known_before(study, space, settings)
        settings = freeze_study(study, space, settings)
        ledger = Ledger(study.ledger, hold.check)
        # Ray is started first, because its workers must not inherit the limit of one thread, which is for the sampler.
        session = ray_session(dashboard=settings.runs_through_train)
        with session as is_private, environment(_ONE_THREAD), stop_signals() as stopped:
            settings = settings.on_private_cluster() if is_private else settings
            check_nodes(space)
            check_prices()
            executor = TuneExecutor.of(settings, body, study, Slots(settings, living_resources))
            proposer = _proposer(study, here, space, settings, known, sampler)
            prices = Prices.of(settings, living_nodes)
            tidy = partial(_tidy, study)
            with watchers(study, here, space, settings) as listeners:
                desk = Bookkeeper(ledger, space, proposer, settings, prices, on_change, on_end=tidy, watchers=listeners)
                if not desk.is_finished:
                    executor.run(desk, StudyDirectory.at(here), stopped, hold.lost)
        hold.check()
        _check_anchors(study, desk)
        if desk.is_finished:
            study.ended.write(desk.stop_reason.encode())
        if stopped.is_set():
            raise StudyInterrupted(f"{study}: stopped. Go on with: anon-tune resume {study}")
        if on_stop and desk.stop_reason:
            on_stop(desk.stop_reason)
    return ledger


def _proposer(
    study: StudyDirectory,
    here: Path,
    space: SearchSpace,
    settings: StudySettings,
    known: Mapping[str, Observation],
    sampler: CallersSampler | None,
) -> Proposer:
    """Begin to propose. Ray and the storage must be there by then: a study that cannot go on stays as it was."""
    StudyDirectory.at(here).journal.remove()  # a cache, rebuilt from the ledger
    mirror = OptunaMirror(space, open_storage(settings.storage, here), record_name(study, settings), study)
    study.ended.remove()
    return Proposer(space, settings.sampler, settings.seed, settings.num_trials, mirror, known, sampler)


def _check_anchors(study: StudyDirectory, bookkeeper: Bookkeeper) -> None:
    anchor = bookkeeper.failed_anchor
    if anchor is not None:
        rule = f"the anchor '{anchor.id}' failed, and no score can be read without it"
        raise StudyError(str(study), rule, remedy="Fix the cause, then run 'anon-tune resume'", cause=anchor.reason)


@contextmanager
def _local_copy(folder: Folder, hold: Hold) -> Iterator[Path]:
    """Yield a local directory for the files that only the driver writes: the study's own, unless it is a URI.

    Then the files are copied to the study at the end.
    """
    if not folder.is_remote:
        yield folder.path
        return
    with tempfile.TemporaryDirectory(prefix="anon-tune-") as scratch:
        try:
            yield Path(scratch)
        finally:
            with suppress(OSError, AnonTuneError):  # no result depends on these files; an earlier error says more
                hold.check()
                for file in Path(scratch).rglob("*"):
                    if file.is_file():
                        folder.write(file.relative_to(scratch).as_posix(), file.read_bytes())


def _tidy(study: StudyDirectory, trial: Trial) -> None:
    with suppress(OSError):  # files that stay cost disk space only
        study.trial(trial.id).tidy()


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Yield an event that the first SIGINT or SIGTERM sets. A second signal has its default effect."""
    stopped = threading.Event()
    before: dict[signal.Signals, Any] = {}

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()
        for signum, handler in before.items():
            signal.signal(signum, handler)

    if threading.current_thread() is threading.main_thread():
        before = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
