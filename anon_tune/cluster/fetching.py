"""Sends a study to a cluster, and brings back its results."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from anon_tune.cluster.bundle import unbundle
from anon_tune.cluster.jobs import Head
from anon_tune.cluster.parcel import package_files, project_files, space_parcel, write_parcel
from anon_tune.errors import ClusterError

_RUN = ("python", "-m", "anon_tune")
_WHEELS = "anon_tune_packages"  # folder below a job's working directory


def send_study(
    head: Head,
    arguments: Sequence[str],
    study: str,
    space: Path | None,
    space_at: int | None,
    wheels: Sequence[Path] = (),
) -> tuple[str, int]:
    """Send an ``anon-tune`` command as a job, together with the files of the current folder.

    Args:
        head: The head that gets the job.
        arguments: The verb and its arguments.
        study: The study directory.
        space: The file of the search space; None if the verb takes none.
        space_at: Index of the search space among the arguments; the name that its file has in the job is put there.
        wheels: Wheels of Python packages that are sent too, and passed to the verb with ``--package``.

    Returns:
        The job's id, and the number of bytes that were sent.
    """
    folder = Path.cwd()
    files, words = project_files(folder), list(arguments)
    if space is not None and space_at is not None:
        sent, words[space_at] = space_parcel(space, folder)
        files |= sent
    for wheel in wheels:
        name = f"{_WHEELS}/{wheel.name}"
        files[name] = wheel
        words += ["--package", name]
    with tempfile.TemporaryDirectory() as scratch:
        parcel = Path(scratch) / "parcel.zip"
        size = write_parcel(files | package_files(), parcel)
        return head.send([*_RUN, *words], parcel, study), size


def fetch_through(head: Head, location: str, everything: bool) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a study that only the cluster can read. A job reads them there and prints them to its log.

    Raises:
        ClusterError: The job failed, for example because there is no study.
    """
    with tempfile.TemporaryDirectory() as scratch:
        parcel = Path(scratch) / "parcel.zip"
        write_parcel(package_files(), parcel)
        words = ["python", "-m", "anon_tune.cluster.bundle", location, *(["--all"] if everything else [])]
        job = head.send(words, parcel)
    state = head.wait(job)
    lines = head.log(job).splitlines()
    if state.name != "SUCCEEDED":
        errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
        raise ClusterError(f"{head.address}: job {job}", errors[-1] if errors else state.message or state.name)
    head.forget(job)
    yield from unbundle(lines, location)
