"""Ray Tune's four interfaces (search, schedule, record, stop), each a thin face of the bookkeeper."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray.exceptions import RayTaskError
from ray.tune import Callback, Stopper
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from anon_tune.driver.placement import Slots
from anon_tune.driver.running_jobs import JobsUnderWay, begun_by_train
from anon_tune.driver.trainable import to_config, why_hung
from anon_tune.folder import Folder
from anon_tune.study.bookkeeper import Bookkeeper
from anon_tune.study.settings import StudySettings

_FAILURE = re.compile(r"^Failure # \d+ \(occurred at .*\)\n", re.MULTILINE)


class OptunaSearcher(Searcher):
    """Hands out the bookkeeper's trials.

    Ray's own OptunaSearch tells stopped trials COMPLETE and leaves NaN trials RUNNING when there are
    several objectives; here `LedgerCallback` tells every trial's end, after the ledger has it.

    Args:
        book: Proposes.
        trials_directory: Holds one directory a trial.
        slots: How many trials may be under way.
    """

    def __init__(self, book: Bookkeeper, trials_directory: Folder, slots: Slots) -> None:
        super().__init__()
        self._book, self._trials_directory, self._slots = book, trials_directory, slots
        self._under_way: set[str] = set()

    def suggest(self, trial_id: str) -> Any:
        """Return the config of the next trial, None to be asked again, or FINISHED."""
        if len(self._under_way) >= self._slots.number():
            return None
        assignment = self._book.next()
        if assignment is None:
            return Searcher.FINISHED if self._book.is_finished else None
        directory = self._trials_directory / assignment.trial
        if not directory.is_remote:  # bodies may count on it
            directory.path.mkdir(parents=True, exist_ok=True)
        self._under_way.add(trial_id)
        return to_config(assignment, directory.location)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Make room for another; see the class."""
        self._under_way.discard(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the ledger holds it all."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing: the ledger holds it all."""


class RungScheduler(FIFOScheduler):
    """Stops a trial at a rung by all objectives at once; see `anon_tune.search.rungs.Rung`.

    Tune neither saves nor restores a scheduler's state, so it has none.
    """

    def __init__(self, book: Bookkeeper) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._book = book

    def choose_trial_to_run(self, tune_controller: Any) -> TuneTrial | None:
        """Return the trial that a worker set free takes over: the newest one.

        Older ones have workers of their own on the way, and Tune ends the worker on the way of a trial that is given
        another. Oldest first, as Tune has it, trials shorter than a worker's start would run one at a time for ever.
        """
        pending = [trial for trial in tune_controller.get_live_trials() if trial.status == TuneTrial.PENDING]
        return max(pending, key=lambda trial: trial.config["trial"], default=None)

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: dict[str, Any]) -> str:
        """Continue or stop; Tune does not ask about results that are the trial's last."""
        return str(TrialScheduler.CONTINUE if self._book.judge(result["report"]) else TrialScheduler.STOP)


class LedgerCallback(Callback):
    """Brings every event to the bookkeeper as it arrives.

    Also keeps the rungs left to do in Tune's config of the trial: it is what a worker started
    after another one died is given. And keeps the time of jobs, so that one that never reports is recorded as lost.

    Args:
        book: Is told.
        settings: With the limit after which workers end themselves, and whether Ray Train starts them.
        must_not_write: True once another driver has the study.
    """

    def __init__(self, book: Bookkeeper, settings: StudySettings, must_not_write: Callable[[], bool]) -> None:
        self._book, self._must_not_write = book, must_not_write
        self._job_limit_s, self._through_train = settings.job_limit_s, settings.runs_through_train
        self._jobs = JobsUnderWay(book.know)

    def on_trial_start(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Record that it runs."""
        self._jobs.begin(trial.config["trial"], trial.temporary_state.ray_actor)
        self._book.start(trial.config["trial"])

    def on_step_end(self, iteration: int, trials: list[TuneTrial], **info: Any) -> None:
        """Hear where jobs run."""
        self._jobs.look()

    def on_trial_result(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, result: dict[str, Any], **info: Any
    ) -> None:
        """Record a report, or a failure that comes with its reason and without one."""
        if "report" not in result:
            if "failure" in result:
                self._lose(trial)
                self._book.fail(trial.config["trial"], result["failure"])
            return
        report = result["report"]
        self._jobs.end(report.trial) if result["done"] else self._jobs.go_on(report.trial)
        self._book.receive(report, result.get("failure", ""))
        todo = [rung for rung in trial.config["todo"] if rung != report.rung]
        trial.set_config({**trial.config, "todo": todo})  # type: ignore[no-untyped-call]

    def on_trial_recover(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Record what a worker's end has cost; Tune tries again."""
        self._lose(trial)

    def on_trial_error(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Record that the last retry failed; give a trial another one that Tune has not."""
        self._lose(trial)
        hung = why_hung(trial.config["directory"], self._job_limit_s)
        reason = hung or last_words(trial.error_file)
        if trial.run_metadata.num_failures <= trial.max_failures:
            # Tune retries trials that run, not those whose worker dies while it starts or is reused.
            self._book.lose(trial.config["trial"], reason, trial.max_failures)
        else:
            self._book.fail(trial.config["trial"], reason)

    def on_experiment_end(self, trials: list[TuneTrial], **info: Any) -> None:
        """Record the jobs that a stopped driver leaves unfinished."""
        for trial in trials:
            if self._book.error is None and not self._must_not_write():
                self._lose(trial)

    def _lose(self, trial: TuneTrial) -> None:
        job = self._jobs.end(trial.config["trial"])
        if job and self._through_train:
            job = begun_by_train(Folder.at(trial.config["directory"]))
        if job:
            self._book.waste(trial.config["trial"], *job)


class StudyStopper(Stopper):
    """Ends the study when it must not go on; trials that run stay RUNNING in the ledger.

    Args:
        must_stop: Asked after every event.
    """

    def __init__(self, must_stop: Callable[[], bool]) -> None:
        self._must_stop = must_stop

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Never stop a single trial."""
        return False

    def stop_all(self) -> bool:
        """Stop all of them if asked to."""
        return self._must_stop()

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune pickles it into a snapshot that is never read."""
        return {}


def last_words(error_file: str | None) -> str:
    """Return one line about what ended a worker: the last of its traceback, if it left one.

    Tune leaves the error as text and as a pickle, which is not opened.

    Args:
        error_file: To which Tune appends every failure's text; None where it does not.
    """
    if error_file is None or not Path(error_file).exists():
        return "the worker was lost"
    last = _FAILURE.split(Path(error_file).read_text(encoding="utf-8", errors="replace"))[-1]
    lines = [line.strip() for line in last.splitlines() if line.strip()] or ["the worker was lost"]
    # What a task raised is told with a traceback, which ends with the cause; of a lost worker the first line says most.
    return lines[-1] if "ray::" in lines[0] or lines[0].startswith("Traceback") else lines[0]


def one_line(error: Exception) -> str:
    """Return one line about what Ray raised: of a task's error the last, which holds the cause."""
    if isinstance(error, RayTaskError):
        return str(error).strip().splitlines()[-1].strip()
    return f"{type(error).__name__}: {(str(error).strip() or 'without a word').splitlines()[0]}"
