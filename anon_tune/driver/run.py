"""Runs a study, from nothing or from where an earlier driver left it."""

from __future__ import annotations

import logging
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from ray import tune
from ray.tune import TuneError
from ray.tune.execution import class_cache

from anon_tune.driver.adapters import LedgerCallback, OptunaSearcher, RungScheduler, StudyStopper
from anon_tune.driver.placement import Slots, place
from anon_tune.driver.session import environment, living_nodes, living_resources, ray_session
from anon_tune.driver.trainable import RungTrainable
from anon_tune.errors import StudyError
from anon_tune.folder import Folder, Location
from anon_tune.ledger import Ledger
from anon_tune.search.callers_sampler import CallersSampler
from anon_tune.search.proposer import Proposer
from anon_tune.search.space import SearchSpace
from anon_tune.study.bookkeeper import Bookkeeper
from anon_tune.study.lock import Hold, driver_lock
from anon_tune.study.settings import StudySettings, freeze_study, with_record_name
from anon_tune.study.spending import Prices
from anon_tune.study.warm_start import known_before
from anon_tune.trackers.external import watchers
from anon_tune.trackers.optuna_storage import JOURNAL, OptunaRecord, open_storage, record_name
from anon_tune.trial import CHECKPOINT, SCRATCH, TRIALS, Trial, TrialBody

_LOG = "tune.log"
_log = logging.getLogger(__name__)
_ONE_THREAD = {"OMP_NUM_THREADS": "1"}


class StudyInterrupted(KeyboardInterrupt):
    """SIGINT or SIGTERM ended a study; everything finished is in the ledger."""


def run_study(
    directory: Location,
    space: SearchSpace,
    body: TrialBody,
    settings: StudySettings,
    on_change: Callable[[Sequence[Trial]], None] | None = None,
    on_stop: Callable[[str], None] | None = None,
    sampler: CallersSampler | None = None,
) -> Ledger:
    """Run a study to its end.

    A directory that already holds this study is continued: finished trials stay as they are,
    unfinished ones go on from their next rung under their own id, and the number of trials may
    have grown. A first SIGINT or SIGTERM stops cleanly, a second one at once.

    Args:
        directory: The study directory; a path that every node sees, or a URI that pyarrow opens.
        space: What is searched.
        body: Does the work of a trial.
        settings: How it is run.
        on_change: Called with all trials, anchors first, after every change.
        on_stop: Called with the reason when a stop rule ended the study.
        sampler: A sampler of the caller's, of the class that the settings name; None for one of ours.

    Returns:
        The ledger.

    Raises:
        StudyError: The directory belongs to another study or another process, or an anchor failed.
        PlacementError: A trial needs more than the cluster has.
        StudyInterrupted: Stopped by a signal.
    """
    folder = Folder.at(directory)
    with driver_lock(folder) as hold, _desk(folder, hold) as desk:
        known = known_before(folder, space, settings)
        settings = with_record_name(folder, space, settings)
        freeze_study(folder, space, settings)
        ledger = Ledger(folder / "ledger", hold.check)
        (desk / JOURNAL).unlink(missing_ok=True)  # a cache, rebuilt from the ledger
        # Ray first: its workers must not inherit the one thread that a busy machine leaves the sampler.
        session = ray_session(dashboard=settings.runs_through_train)
        with session as is_private, environment(_ONE_THREAD), stop_signals() as stopped:
            if is_private:  # nobody starts nodes there
                settings = settings.model_copy(update={"scale_to": None})
            slots = Slots(settings, living_resources)
            resources = place(settings, slots.nodes()).resources
            if not slots.fits():
                _log.warning("No node is there yet that holds a trial; trials wait for the autoscaler's.")
            record = OptunaRecord(space, open_storage(settings.storage, desk), record_name(folder, settings))
            proposer = Proposer(space, settings.sampler, settings.seed, settings.num_trials, record, known, sampler)
            prices = Prices.of(settings, living_nodes)
            tidy = partial(_tidy, folder / TRIALS)
            with watchers(folder, desk, space, settings) as told:
                book = Bookkeeper(ledger, space, proposer, settings, prices, on_change, on_end=tidy, watchers=told)
                if not book.is_finished:
                    _tune(folder, desk, book, body, settings, resources, slots, stopped, hold.lost)
        hold.check()
        if book.failed_anchor is not None:
            anchor = book.failed_anchor
            rule = f"the anchor '{anchor.id}' failed, and no score can be read without it"
            raise StudyError(str(folder), rule, anchor.reason, "Mend the cause, then 'anon-tune resume'")
        if stopped.is_set():
            raise StudyInterrupted(f"{folder}: stopped. Go on with: anon-tune resume {folder}")
        if on_stop and book.stop_reason:
            on_stop(book.stop_reason)
    return ledger


@contextmanager
def _desk(folder: Folder, hold: Hold) -> Iterator[Path]:
    """Give the driver a directory for what only it writes; a study far away gets a copy at the end."""
    if not folder.is_remote:
        yield folder.path
        return
    with tempfile.TemporaryDirectory(prefix="anon-tune-") as scratch:
        try:
            yield Path(scratch)
        finally:
            with suppress(OSError, StudyError):  # all of it is for looking at, and an error before says more
                hold.check()
                for file in Path(scratch).rglob("*"):
                    if file.is_file():
                        folder.write(file.relative_to(scratch).as_posix(), file.read_bytes())


def _tidy(trials: Folder, trial: Trial) -> None:
    """Remove what a trial that is over needs no more: checkpoints are most of what a study would leave."""
    for name in (CHECKPOINT, SCRATCH):
        with suppress(OSError):  # that costs room, and no trial
            (trials / trial.id).remove(name)


def _tune(
    folder: Folder,
    desk: Path,
    book: Bookkeeper,
    body: TrialBody,
    settings: StudySettings,
    resources: Mapping[str, float],
    slots: Slots,
    stopped: threading.Event,
    lost: threading.Event,
) -> None:
    scratch = desk / "tune"
    # Tune would put keys into a runtime environment, which Ray writes into its logs; nodes have their own credentials.
    class_cache.ENV_VARS_TO_PROPAGATE -= {name for name in class_cache.ENV_VARS_TO_PROPAGATE if name.startswith("AWS_")}
    with _logs_to(desk / _LOG):
        try:
            tune.run(
                tune.with_parameters(
                    RungTrainable,
                    body=body,
                    job_limit_s=settings.job_limit_s,
                    through_train=settings.runs_through_train,
                ),
                name="run",
                storage_path=str(scratch),
                num_samples=-1,
                resources_per_trial=dict(resources),
                search_alg=OptunaSearcher(book, folder / TRIALS, slots),
                scheduler=RungScheduler(book),
                callbacks=[LedgerCallback(book, settings, lost.is_set)],
                stop=StudyStopper(lambda: stopped.is_set() or lost.is_set() or book.failed_anchor is not None),
                max_failures=settings.max_failures,
                reuse_actors=True,
                raise_on_failed_trial=False,
                verbose=0,
            )
        except TuneError:
            if book.error is not None:  # raised in a callback, it comes back as Tune's own with a traceback for text
                raise book.error from None
            raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Set the event at the first SIGINT or SIGTERM; the second one acts as if nobody listened."""
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


@contextmanager
def _logs_to(file: Path) -> Iterator[None]:
    """Send what Tune logs to a file: the screen belongs to the study's own progress."""
    logger = logging.getLogger("ray.tune")
    handler = logging.FileHandler(file, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.propagate = propagate
        logger.removeHandler(handler)
        handler.close()
