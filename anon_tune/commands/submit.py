"""Studies on a cluster, from a machine outside it: submit them as jobs, look at their state, copy their results."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anon_tune.address import refuse_secret
from anon_tune.errors import UsageError
from anon_tune.folder import Folder, is_uri
from anon_tune.study_directory import StudyDirectory

if TYPE_CHECKING:
    from anon_tune.cluster.jobs import Head, JobState
    from anon_tune.commands.status import StudyStatus


_RELATIVE_SQLITE = re.compile(r"sqlite(\+\w+)?:///(?!/)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A study to be submitted.

    Attributes:
        verb: The command that the job runs: study or resume.
        words: The command's arguments.
        study: The study directory.
        space: The file of the search space, if the command takes one.
        space_at: Index of the search space in `words`.
        wheels: Python packages that are sent with the job.
    """

    verb: str
    words: Sequence[str]
    study: str
    space: Path | None = None
    space_at: int | None = None
    wheels: Sequence[Path] = ()


@dataclass(frozen=True, slots=True)
class SentJob:
    """A job that a head has accepted.

    Attributes:
        job: The job's id.
        num_bytes: Size of the files that were sent.
    """

    job: str
    num_bytes: int


@dataclass(frozen=True, slots=True)
class FetchedStudy:
    """A copy of a study.

    Attributes:
        folder: The copy.
        study: The study directory it was copied from.
        num_trials: Number of trials in its ledger, anchors not counted.
    """

    folder: Path
    study: str
    num_trials: int


@dataclass(frozen=True, slots=True)
class JobStatus:
    """The state of a job, and of the study that it runs.

    Attributes:
        job_id: The job's id.
        job: The state of the job.
        study: The state of the study; None if the job runs no study, or one that this machine cannot read.
    """

    job_id: str
    job: JobState
    study: StudyStatus | None

    @property
    def is_over(self) -> bool:
        """True once the job has ended."""
        return self.job.is_over

    def to_json(self) -> dict[str, Any]:
        """Return plain values for ``json.dumps(..., allow_nan=False)``.

        The keys are those of `StudyStatus`, and ``job`` with the job's id, state and message. If the study cannot be
        read, its only key is ``study``: its directory, or null if the job runs no study.
        """
        job = {"id": self.job_id, "state": self.job.name, "message": self.job.message}
        if self.study is None:
            return {"job": job, "study": self.job.study or None}
        return self.study.to_json() | {"job": job}


def check_shared(option: str, location: str) -> str:
    """Return a location after checking that it means the same on every node.

    Raises:
        UsageError: The location is a relative path, or contains a password or key.
    """
    if not is_anywhere(location):
        rule = "must be an absolute path on storage that every node sees, or a URI"
        raise UsageError(option, rule, location, "Ray deletes the job's copy of this folder")
    refuse_secret(option, location)
    return location


def check_outlives_job(option: str, place: str) -> None:
    """Check that an Optuna storage or MLflow's runs are not kept below the folder of a job.

    Raises:
        UsageError: The place is relative to that folder, or contains a password or key.
    """
    if _RELATIVE_SQLITE.match(place):
        remedy = "Write sqlite:////absolute/path; Ray deletes the folder of the job"
        raise UsageError(option, "must name its database by an absolute path", place, remedy)
    if option == "--mlflow" and place != "databricks":  # the only address of MLflow's without ://
        check_shared(option, place)


def submit(head: Head, submission: Submission) -> SentJob:
    """Send a study to a cluster as a Ray job.

    Raises:
        ClusterError: The head rejects the job, or the files to send are too large.
    """
    from anon_tune.cluster.fetching import send_study

    words = [submission.verb, *submission.words]
    at = None if submission.space_at is None else submission.space_at + 1
    return SentJob(*send_study(head, words, submission.study, submission.space, at, submission.wheels))


def look(target: str, head: Head | None) -> StudyStatus | JobStatus:
    """Return the state of a study or of a job.

    Args:
        target: A study directory, or the id of a job.
        head: The head that runs the job; None for a directory.
    """
    from anon_tune.commands.status import study_status

    if head is None:
        return study_status(target)
    state = head.state(target)
    can_be_read = is_anywhere(state.study) and is_seen(state.study)
    return JobStatus(target, state, study_status(state.study) if can_be_read else None)


def fetch(
    target: str,
    output: Path | None = None,
    address: str | None = None,
    all_files: bool = False,
    through_cluster: bool = False,
) -> FetchedStudy:
    """Copy a study's ledger, report and certificates to this machine, even while the study runs.

    Args:
        target: Id of a submitted job, or its study directory.
        output: Folder to write to; None for runs/NAME.
        address: Address of the head's dashboard; None for the one in RAY_API_SERVER_ADDRESS.
        all_files: Also copy the weights and previews of every trial.
        through_cluster: Let a job on the cluster read the directory, even if this machine can read it.

    Raises:
        StudyError: There is no study, or the output folder holds something else.
        UsageError: There is no such job, no address, or no token.
        ClusterError: The head or its job is not usable.
    """
    from anon_tune.cluster.copying import read_study, write_copy
    from anon_tune.cluster.fetching import fetch_through

    head = None if is_seen(target) and not through_cluster else head_of(target, address)
    study = _study_of(head, target) if head is not None and not looks_like_path(target) else str(Folder.at(target))
    if is_seen(study) and not through_cluster:
        head = None
    folder = output or Path("runs") / Folder.at(study).name
    if str(folder.resolve()) == study:
        raise UsageError(str(folder), "is the study itself", remedy="Give another folder with -o")
    files = read_study(study, all_files) if head is None else fetch_through(head, study, all_files)
    return FetchedStudy(folder, study, write_copy(files, folder, study))


def head_of(target: str, address: str | None) -> Head:
    """Return the head to ask about a job, or about a study that this machine cannot read.

    Raises:
        UsageError: There is no address, or no token.
        ClusterError: The head does not answer.
    """
    from anon_tune.cluster.jobs import Head, find_address

    what = f"{target}: no study can be seen there from here" if looks_like_path(target) else f"job {target}"
    return Head(find_address(address, what))


def is_seen(location: str) -> bool:
    """True if the location holds a study that this machine can read."""
    with suppress(OSError):  # a store that this machine has no credentials for, or cannot reach
        return StudyDirectory.at(location).frozen.exists()
    return False


def is_anywhere(study: str) -> bool:
    """True for a URI or an absolute path, which means the same here as on the cluster."""
    return is_uri(study) or study.startswith("/")


def looks_like_path(target: str) -> bool:
    """True for a study directory, false for the id of a job."""
    return "/" in target or Path(target).is_dir()


def _study_of(head: Head, job: str) -> str:
    study = head.state(job).study
    if not is_anywhere(study):
        raise UsageError(
            job, "this job runs no study that can be found", remedy="Name a job that 'anon-tune submit' has sent"
        )
    return study
