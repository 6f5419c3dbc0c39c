"""Runs the jobs of a desk with Ray Tune. This is the only module that knows Tune.

Tune gives each assignment a worker, replaces a worker that dies, and reuses a worker for the next assignment. The desk
decides everything else: which trial is next, which trials go on, and what is recorded. Reports reach the desk in one
place, Tune's stopper, because Tune asks the stopper about every result, while it does not ask a scheduler about the
last result of a trial. If Tune asks twice, the desk gives the same answer, so the order in which Tune calls its parts
does not matter.
"""

from __future__ import annotations

import logging
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

from ray import tune
from ray.air._internal import usage
from ray.tune import Callback, Stopper, TuneError
from ray.tune.execution import class_cache
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from anon_tune.driver.environment import environment
from anon_tune.driver.job_limit import within
from anon_tune.driver.placement import Slots, place
from anon_tune.driver.relay import Relay
from anon_tune.driver.worker_errors import last_words
from anon_tune.errors import AnonTuneError
from anon_tune.study.desk import ClusterDesk
from anon_tune.study.settings import StudySettings
from anon_tune.study_directory import StudyDirectory, TrialDirectory
from anon_tune.trial import ANCHORS, TrialBody

_log = logging.getLogger(__name__)
_ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",  # the new output prints boxes even with verbose=0
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no CSV, JSON and TensorBoard files, because the ledger has everything
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # our handler also stops on SIGTERM
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_MAX_PENDING_TRIALS_PG": "100000",  # no limit here, because `Slots` limits the trials that wait
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # Tune's own state is never read
}


@dataclass(frozen=True)
class TuneExecutor:
    """Runs the jobs of one desk on the Ray cluster that this process has joined.

    Attributes:
        body: Does the jobs.
        study: The study directory, which has a trial directory for every assignment.
        resources: Resources that one worker requests.
        slots: How many assignments may be under way.
        max_failures: How often an assignment is begun again after its worker died or raised an error.
        job_limit_s: Seconds after which a worker ends itself if its job is not done; None for no limit.
        through_train: True if workers of Ray Train do the jobs.
    """

    body: TrialBody
    study: StudyDirectory
    resources: Mapping[str, float]
    slots: Slots
    max_failures: int
    job_limit_s: float | None
    through_train: bool

    @classmethod
    def of(cls, settings: StudySettings, body: TrialBody, study: StudyDirectory, slots: Slots) -> TuneExecutor:
        """Return an executor with the settings of a study.

        Raises:
            PlacementError: A trial needs more than the cluster has.
        """
        resources = place(settings, slots.nodes()).resources
        if not slots.fits():
            _log.warning("A trial fits on no node yet. Trials wait until the autoscaler adds nodes.")
        through_train = settings.runs_through_train
        return cls(body, study, resources, slots, settings.max_failures, settings.job_limit_s, through_train)

    def run(self, desk: ClusterDesk, scratch: StudyDirectory, stopped: Event, lost: Event) -> None:
        """Run jobs until the desk is finished or hopeless, or one of the events is set.

        Args:
            desk: Hands out the jobs.
            scratch: A directory on this machine for Tune's log and for Tune's own files, which are removed at the end.
            stopped: Set when the user ends the run; running jobs are given up.
            lost: Set when another driver has taken over the study, so that nothing more may be reported to the desk.

        Raises:
            AnonTuneError: The desk raised this error.
        """
        relay = Relay(desk, self.study, self.job_limit_s, self.through_train)
        work = tune.with_parameters(
            RungTrainable, body=self.body, job_limit_s=self.job_limit_s, through_train=self.through_train
        )
        with (
            environment(_ENVIRONMENT),
            _no_keys_for_workers(),
            _no_trackers_for_counting(),
            _logs_to(scratch.tune_log.path),
        ):
            try:
                tune.run(
                    work,
                    name="run",
                    storage_path=str(scratch.tune.path),
                    num_samples=-1,
                    resources_per_trial=dict(self.resources),
                    search_alg=_DeskSearcher(desk, self.study, self.slots),
                    scheduler=_NewestFirst(),  # type: ignore[no-untyped-call]
                    callbacks=[_Listener(relay, lost)],
                    stop=_Decider(relay, lambda: stopped.is_set() or lost.is_set() or desk.is_hopeless),
                    max_failures=self.max_failures,
                    reuse_actors=True,
                    raise_on_failed_trial=False,
                    verbose=0,
                )
            except TuneError:
                if relay.error is not None:  # Tune turns the desk's error into a TuneError with a traceback as text
                    raise relay.error from None
                raise
            finally:
                shutil.rmtree(scratch.tune.path, ignore_errors=True)


class RungTrainable(tune.Trainable):
    """A worker, which does the jobs of an assignment, one per step of Tune.

    Nothing runs between two steps, so a trial can be stopped after any job without leaving processes behind. The trial
    body keeps its own checkpoints. A worker only remembers the number of its steps; its replacement gets the jobs that
    are left.
    """

    def setup(
        self,
        config: dict[str, Any],
        body: TrialBody | None = None,
        job_limit_s: float | None = None,
        through_train: bool = False,
    ) -> None:
        """Receive the first assignment, and the body and the limit for all assignments of this worker."""
        if body is not None:
            self.body, self.job_limit_s, self.through_train = body, job_limit_s, through_train
        self.assignment, self.directory = config["assignment"], config["directory"]
        TrialDirectory.at(self.directory).hung.remove()  # of an earlier attempt

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Receive the next assignment."""
        self.setup(new_config)
        return True

    def node_name(self) -> str:
        """Return the host name of this worker's node, which reports use as the name of the node."""
        return socket.gethostname()

    def step(self) -> dict[str, Any]:
        """Do one job."""
        job = self.assignment.job(self.iteration, self.directory)
        trial_id = self.assignment.trial_id
        directory = TrialDirectory.at(self.directory)
        try:
            report = within(self.job_limit_s, directory, self.through_train, lambda: self.body.advance(job))
        except AnonTuneError as error:
            return {"failed": trial_id, "reason": str(error)}
        return {"report": replace(report, trial_id=trial_id)}


class _DeskSearcher(Searcher):
    """Hands out the assignments of the desk to Tune.

    Ray's own OptunaSearch is not used. With several objectives, it marks stopped trials as COMPLETE and leaves trials
    with NaN RUNNING. Here the desk tells Optuna how every trial ended, once the ledger has it.
    """

    def __init__(self, desk: ClusterDesk, study: StudyDirectory, slots: Slots) -> None:
        super().__init__()
        self._desk, self._study, self._slots = desk, study, slots
        self._under_way: set[str] = set()
        self._num_handed_out = 0

    def suggest(self, trial_id: str) -> Any:
        """Return the config of the next assignment, None if Tune shall ask again later, or FINISHED."""
        if len(self._under_way) >= self._slots.number():
            return None
        assignment = self._desk.next()
        if assignment is None:
            return Searcher.FINISHED if self._desk.is_finished else None
        directory = self._study.trial(assignment.trial_id).folder
        if not directory.is_remote:  # bodies may count on it
            directory.path.mkdir(parents=True, exist_ok=True)
        self._under_way.add(trial_id)
        self._num_handed_out += 1
        return {"assignment": assignment, "directory": directory.location, "place": self._num_handed_out}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Free the slot of an assignment that is over."""
        self._under_way.discard(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Save nothing, because the ledger has everything."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing, because the ledger has everything."""


class _NewestFirst(FIFOScheduler):
    """Gives a free worker to an anchor or to the newest trial. It stops no trials; `_Decider` does that.

    Older trials already have workers that are starting, and Tune ends the starting worker of a trial that gets another
    one. With Tune's order, oldest first, trials shorter than the start of a worker would run one at a time forever.
    """

    def choose_trial_to_run(self, tune_controller: Any) -> TuneTrial | None:
        """Return an anchor that waits for a worker, or else the newest trial that does."""
        pending = [trial for trial in tune_controller.get_live_trials() if trial.status == TuneTrial.PENDING]
        return max(pending, key=_precedence, default=None)


class _Decider(Stopper):
    """Passes every result to the desk, and ends the trial or the whole run if the desk decides so.

    If the whole run is ended, running trials stay RUNNING in the ledger.
    """

    def __init__(self, relay: Relay, must_stop: Callable[[], bool]) -> None:
        self._relay, self._must_stop = relay, must_stop

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Return True if the worker of a trial is free, so that Tune ends the trial."""
        if "failed" in result:
            self._relay.fail(result["failed"], result["reason"])
            return True
        return not self._relay.report(result["report"])

    def stop_all(self) -> bool:
        """Return whether the whole run must end."""
        return self._must_stop()

    def __getstate__(self) -> dict[str, Any]:
        """Return no state, because Tune pickles this object only for a snapshot that is never read."""
        return {}


class _Listener(Callback):
    """Receives the starts and ends of workers."""

    def __init__(self, relay: Relay, lost: Event) -> None:
        self._relay, self._lost = relay, lost

    def on_trial_start(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Record that a trial runs."""
        self._relay.start(_id(trial), trial.temporary_state.ray_actor)

    def on_step_end(self, iteration: int, trials: list[TuneTrial], **info: Any) -> None:
        """Collect the names of the nodes on which jobs run."""
        self._relay.collect_nodes()

    def on_trial_recover(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Give the remaining jobs to the worker that Tune starts in place of a lost one."""
        remaining = self._relay.replace_worker(_id(trial))
        trial.set_config({**trial.config, "assignment": remaining})  # type: ignore[no-untyped-call]

    def on_trial_error(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Record that a worker was lost for good. Tune does not retry one that dies while it starts or is reused."""
        never_began = trial.run_metadata.num_failures <= trial.max_failures
        self._relay.give_up(_id(trial), last_words(trial.error_file), trial.max_failures if never_began else None)

    def on_experiment_end(self, trials: list[TuneTrial], **info: Any) -> None:
        """Record the jobs that a stopped driver leaves unfinished."""
        for trial in trials:
            if self._relay.error is None and not self._lost.is_set():
                self._relay.record_lost_job(_id(trial))


def _precedence(trial: TuneTrial) -> tuple[bool, int]:
    return trial.config["assignment"].recipe.method in ANCHORS, trial.config["place"]


def _id(trial: TuneTrial) -> str:
    return str(trial.config["assignment"].trial_id)


@contextmanager
def _no_keys_for_workers() -> Iterator[None]:
    """Keep Tune from sending AWS keys to workers in a runtime environment, which Ray writes into its logs.

    Nodes must have credentials of their own.
    """
    names = class_cache.ENV_VARS_TO_PROPAGATE
    kept = {name for name in names if name.startswith("AWS_")}
    names -= kept
    try:
        yield
    finally:
        names |= kept


@contextmanager
def _no_trackers_for_counting() -> Iterator[None]:
    """Keep Tune from loading MLflow, W&B and Comet only to count, for Ray's usage report, callbacks of theirs.

    With MLflow installed, this takes a second.
    """
    counting = usage.tag_callbacks
    usage.tag_callbacks = lambda callbacks: False
    try:
        yield
    finally:
        usage.tag_callbacks = counting


@contextmanager
def _logs_to(file: Path) -> Iterator[None]:
    """Write Tune's log messages to a file, because the terminal shows the progress of the study."""
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
