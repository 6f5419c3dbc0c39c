"""Writes the trials of a study to the user's Optuna storage, for Optuna's dashboards and tools."""

from __future__ import annotations

import contextlib
import shlex
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.artifacts import FileSystemArtifactStore, upload_artifact
from optuna.samplers import RandomSampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import TrialState as OptunaState
from optuna.trial import create_trial

from anon_tune.errors import UnreachableError, UsageError
from anon_tune.search.sampler import distributions
from anon_tune.search.score_losses import score_losses
from anon_tune.search.space import SearchSpace
from anon_tune.study.settings import StudySettings
from anon_tune.study_directory import StudyDirectory, StudyLocation
from anon_tune.trial import OBJECTIVES, Trial, TrialState

_STATES = {
    TrialState.COMPLETE: OptunaState.COMPLETE,
    TrialState.PRUNED: OptunaState.PRUNED,
    TrialState.FAILED: OptunaState.FAIL,
}


class OptunaMirror:
    """Writes trials to an Optuna study, for dashboards and tools; nothing is read from it.

    A trial is RUNNING once it is proposed. It ends as COMPLETE with the validation readings of its full score, as
    PRUNED, or as FAIL. The reason and the last rung are user attributes. The study's constraints are constraints of the
    Optuna trial.

    An Optuna study of the same name, which an earlier driver left, is deleted, and the caller writes its trials again.

    Args:
        space: The search space of the study.
        storage: Any Optuna storage.
        name: Name of the Optuna study, unique in the storage.
        directory: The study directory, whose moving previews become artifacts, which Optuna's dashboard shows; None for
            none. A study at a URI has no artifacts.

    Raises:
        UnreachableError: The storage cannot be written. `begin` and `end` raise it too.
    """

    def __init__(
        self, space: SearchSpace, storage: BaseStorage, name: str, directory: StudyDirectory | None = None
    ) -> None:
        self._space, self._storage = space, storage
        self._directory = None if directory is None or directory.folder.is_remote else directory
        if self._directory is not None:
            self._directory.folder.remove(self._directory.artifacts.name)  # made again like the Optuna study
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with _writing():
            self.study = _new_study(storage, name)
            self._id = storage.get_study_id_from_name(name)
        self._open: dict[str, int] = {}

    def begin(self, trial_id: str, params: Mapping[str, Any]) -> None:
        """Write that a trial is RUNNING."""
        template = create_trial(
            state=OptunaState.RUNNING,
            params=dict(params),
            distributions=distributions(self._space, params),
            user_attrs={"trial": trial_id},
        )
        with _writing():
            self._open[trial_id] = self._storage.create_new_trial(self._id, template)

    def end(self, trial: Trial) -> None:
        """Write how a trial ended; its beginning is written first if it was not."""
        if trial.id not in self._open:
            self.begin(trial.id, trial.params)
        attributes: dict[str, Any] = {"reason": trial.reason}
        held: dict[str, float] = {}
        if trial.reports:
            last = trial.reports[-1]
            attributes |= {"rung": last.rung, "step": last.step, "last_losses": list(score_losses(last.score))}
            held = self._space.study.constraints.values(last.score)
        complete = trial.state is TrialState.COMPLETE and trial.score is not None
        values = score_losses(trial.score) if complete and trial.score is not None else None
        with _writing():
            recorded = optuna.Trial(self.study, self._open.pop(trial.id))
            for name, value in held.items():
                recorded.set_constraint(name, value)
            for key, value in attributes.items():
                recorded.set_user_attr(key, value)
            self._add_preview(trial.id, recorded)
            self.study.tell(recorded, values, _STATES[trial.state])

    def _add_preview(self, trial_id: str, recorded: optuna.Trial) -> None:
        """Add the moving preview of a trial, if there is one, to its Optuna trial."""
        if self._directory is None:
            return
        clip = self._directory.trial(trial_id).moving_preview
        if clip.exists():
            place = self._directory.artifacts.path
            place.mkdir(parents=True, exist_ok=True)
            upload_artifact(
                artifact_store=FileSystemArtifactStore(place),
                file_path=str(clip.path),
                study_or_trial=recorded,
                storage=self._storage,
            )


def _new_study(storage: BaseStorage, name: str) -> optuna.Study:
    """Create an empty study in the place of one of the same name."""
    with contextlib.suppress(KeyError):
        storage.delete_study(storage.get_study_id_from_name(name))
    directions = [StudyDirection.MINIMIZE for _ in OBJECTIVES]
    # Nothing is sampled from this study. A random sampler costs nothing when a trial begins.
    study = optuna.create_study(study_name=name, storage=storage, directions=directions, sampler=RandomSampler())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names([o.name if o.minimize else f"-{o.name}" for o in OBJECTIVES])
    return study


@contextmanager
def _writing() -> Iterator[None]:
    """Turn whatever a storage or its database driver raises into an `UnreachableError` of one line."""
    try:
        yield
    except Exception as error:
        last = (str(error).strip() or type(error).__name__).splitlines()[0]
        remedy = "Fix it, then run 'anon-tune resume'; the ledger has everything"
        raise UnreachableError("--storage", "cannot be written", remedy=remedy, cause=last) from None


def record_name(study: StudyDirectory, settings: StudySettings) -> str:
    """Return the name of a study in its Optuna storage."""
    return settings.record_name or study.name


def dashboard_command(study: StudyDirectory, settings: StudySettings) -> str:
    """Return the command line that shows a study's Optuna storage."""
    pictures = [] if study.folder.is_remote else ["--artifact-dir", str(study.artifacts)]
    return shlex.join(["optuna-dashboard", settings.storage or str(study.journal), *pictures])


def open_storage(url: str | None, directory: StudyLocation) -> BaseStorage:
    """Open an Optuna storage.

    Args:
        url: URL of a database; None for the journal file in the study directory.
        directory: The study directory.

    Raises:
        UsageError: The URL is none that Optuna opens, or its driver is not installed.
        UnreachableError: The database does not answer, or refuses this user.
    """
    if url is None:
        return JournalStorage(JournalFileBackend(StudyDirectory.at(directory).journal.location))
    try:
        return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})  # survives a restart of the server
    except Exception as error:  # SQLAlchemy and the database drivers raise exceptions of many kinds
        last = str(error).strip().splitlines()[0]
        remedy = "Give a URL such as sqlite:////tmp/study.db, with its driver installed"
        # SQLAlchemy keeps what a database or its driver said in `orig`.
        kind = UsageError if getattr(error, "orig", None) is None else UnreachableError
        raise kind("--storage", "cannot be opened", url, remedy, last) from None
